package sealer_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// widely seals two parts of the log and a bit, with a checkpoint after each batch.
func widely(t *testing.T) (s *sealed, records int) {
	t.Helper()
	s, records = newSealed(t), 2*65_536+500
	s.seed(t, records)
	s.once(t)
	s.dropChecks(t)
	return s, records
}

func (s *sealed) edit(t *testing.T, seq int64) {
	t.Helper()
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'edited' WHERE seq = $1", seq)
}

func (s *sealed) signedAt(t *testing.T, size int64) []byte {
	t.Helper()
	return []byte(fixture.QueryText(t, s.pool, "SELECT note FROM coordination_audit_seal_checkpoints WHERE size >= $1 ORDER BY size LIMIT 1", size))
}

// What a tile says of the seqs of its leaves decides where a record is looked for. An owner who
// changes that hides no record that was inserted.
func TestChangedTileHidesNoInsertion(t *testing.T) {
	t.Parallel()
	s, records := widely(t)
	id := uuid.New()
	s.superuser(t, "INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp) "+
		"OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'forged', 'COST', 'APPLIED', 'forged', now())", id, 2*(65_536+100))
	for _, through := range []int{1, 2 * records} {
		s.superuser(t, "UPDATE coordination_audit_seal_tiles SET through = $1 WHERE level = 0 AND idx = 255", through)
		found := map[sealer.Fault][]sealer.Finding{}
		for _, f := range s.verify(t).Findings {
			found[f.Fault] = append(found[f.Fault], f)
		}
		if damaged, inserted := found[sealer.Damaged], found[sealer.Inserted]; len(found) != 2 || len(damaged) != 1 || len(inserted) != 1 ||
			!strings.HasPrefix(damaged[0].Text, "tile 255:") || inserted[0].ID != id {
			t.Errorf("through %d: found %+v, want the damaged tile and the record", through, found)
		}
	}
}

// Where a late record lies is said by its tile as well.
func TestChangedRangeOfLateRecordsIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 600)
	s.once(t)
	s.superuser(t, "UPDATE coordination_audit_seal_tiles SET late_from = 1, late_through = 2 WHERE level = 0 AND idx = 1")
	if found := s.verify(t).Findings; len(found) != 1 || found[0].Fault != sealer.Damaged || !strings.HasPrefix(found[0].Text, "tile 1:") {
		t.Errorf("found %+v, want the damaged tile", found)
	}
}

// With an older checkpoint, only the rows after it are read. Edits there are found, and the
// older rows are not.
func TestVerifyAfterOlderCheckpoint(t *testing.T) {
	t.Parallel()
	s, records := widely(t)
	after := s.signedAt(t, 65_536)
	s.edit(t, 1)
	s.edit(t, int64(records)*2-1)
	result, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), After: after, Verifier: s.verifier})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Findings) != 1 || result.Findings[0].Seq != int64(records)*2-1 {
		t.Errorf("found %+v, want only the edit after the older checkpoint", result.Findings)
	}
	if result.Skipped != 65_536 || result.Verified != int64(records)-65_536-1 {
		t.Errorf("%d skipped and %d verified", result.Skipped, result.Verified)
	}

	// The log must go on from the older checkpoint, although its rows are not read.
	s.superuser(t, "UPDATE coordination_audit_seal_tiles SET hashes = overlay(hashes PLACING '\\x00000000' FROM 1) WHERE level = 0 AND idx = 3")
	result, err = sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), After: after, Verifier: s.verifier})
	if err != nil {
		t.Fatal(err)
	}
	faults := map[sealer.Fault]int{}
	for _, f := range result.Findings {
		faults[f.Fault]++
	}
	if faults[sealer.Forked] == 0 || faults[sealer.Damaged] == 0 {
		t.Errorf("found %+v, want that the log is forked and a tile damaged", result.Findings)
	}
}

func TestVerifyRefusesOtherCheckpoint(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	s.once(t)
	older := s.checkpoint(t)
	s.persist(t, 3)
	s.once(t)
	_, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: older, After: s.checkpoint(t), Verifier: s.verifier})
	if err == nil {
		t.Error("a checkpoint after the other one is taken")
	}
	if _, err = sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: older, After: []byte("damaged"), Verifier: s.verifier}); err == nil {
		t.Error("a damaged checkpoint is taken")
	}
}

// A verification that is interrupted goes on, keeps what it found, and reads nothing twice.
func TestVerifyResumes(t *testing.T) {
	t.Parallel()
	s, records := widely(t)
	s.edit(t, 1)
	s.edit(t, int64(records)*2-1)
	ctx, interrupt := context.WithCancel(t.Context())
	var saved []byte
	config := sealer.VerifyConfig{
		Checkpoint: s.checkpoint(t), Verifier: s.verifier, Workers: 1,
		Progress: func(int64, int64) { interrupt() },
		Save:     func(progress []byte) error { saved = progress; return nil },
	}
	if _, err := sealer.Verify(ctx, s.pool, config); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	if saved == nil {
		t.Fatal("nothing was saved")
	}
	// What was compared before is not read again.
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'edited later' WHERE seq = 3")
	config.Resume, config.Progress = saved, nil
	result, err := sealer.Verify(t.Context(), s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Findings) != 2 || result.Findings[0].Seq != 1 || result.Findings[1].Seq != int64(records)*2-1 {
		t.Errorf("found %+v", result.Findings)
	}
	if result.Verified != int64(records)-2 {
		t.Errorf("%d verified, want %d", result.Verified, records-2)
	}

	// Progress that is damaged, or that of another verification, is refused.
	for name, damage := range map[string]func(){
		"cut":        func() { config.Resume = saved[:len(saved)/2] },
		"empty":      func() { config.Resume = []byte{} },
		"other log":  func() { config.Resume, config.Checkpoint = saved, s.signedAt(t, 1) },
		"other time": func() { config.Resume, config.After = saved, s.signedAt(t, 1) },
	} {
		original := config
		damage()
		if _, err := sealer.Verify(t.Context(), s.pool, config); !errors.Is(err, sealer.ErrProgress) {
			t.Errorf("%s: %v, want ErrProgress", name, err)
		}
		config = original
	}
}
