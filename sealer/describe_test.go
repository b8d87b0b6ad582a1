package sealer_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

func (s *sealed) describe(t *testing.T) sealer.Description {
	t.Helper()
	described, err := sealer.Describe(t.Context(), s.pool, "")
	if err != nil {
		t.Fatal(err)
	}
	return described
}

// A description is that of the last checkpoint, and counts the records that it does not cover,
// late ones too.
func TestDescribe(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	if got := s.describe(t); got != (sealer.Description{HasTables: true}) {
		t.Errorf("nothing is sealed: %+v", got)
	}
	tx := s.begin(t)
	s.persistTx(t, tx)
	s.persist(t, 300)
	s.once(t)
	signed, err := seal.OpenCheckpoint(s.checkpoint(t), logName, s.verifier)
	if err != nil {
		t.Fatal(err)
	}
	want := sealer.Description{HasTables: true, Size: 300, Epoch: 1, Origin: logName, Root: signed.Root, Note: string(s.checkpoint(t))}
	for _, step := range []struct {
		run      func()
		unsealed int64
	}{
		{func() {}, 0},
		{func() { s.persist(t, 7) }, 7},
		{func() {
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 8},
	} {
		step.run()
		got := s.describe(t)
		if age := time.Since(got.MadeAt); age < 0 || age > time.Hour {
			t.Errorf("made at %v", got.MadeAt)
		}
		want.MadeAt, want.Unsealed = got.MadeAt, step.unsealed
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	s.superuser(t, "DROP TABLE coordination_audit_seal_tiles, coordination_audit_seal_events")
	if _, err := s.pool.Exec(t.Context(), "DROP TABLE coordination_audit_seal_checkpoints"); err != nil {
		t.Fatal(err)
	}
	if got := s.describe(t); got != (sealer.Description{}) {
		t.Errorf("the schema is older: %+v", got)
	}
}

// The log has the root of each exported checkpoint, also after it has grown. What was changed
// in it, or cut off, is found, and a row in a full tile is not looked at.
func TestCompareRoot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want sealer.Fault
	}{
		"Untouched":    {"SELECT 1", ""},
		"RowInTile":    {"UPDATE coordination_audit_records SET reason = 'another' WHERE seq = 17", ""},
		"RowAfterTile": {"UPDATE coordination_audit_records SET reason = 'another' WHERE seq = 260", sealer.Forked},
		"RowMissing":   {"DELETE FROM coordination_audit_records WHERE seq = 260", sealer.Missing},
		"Tile":         {"UPDATE coordination_audit_seal_tiles SET root = sha256(root)", sealer.Forked},
		"NoTile":       {"DELETE FROM coordination_audit_seal_tiles", sealer.Damaged},
		"CutOff":       {"DELETE FROM coordination_audit_seal_checkpoints", sealer.CutOff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 300)
			s.once(t)
			first := s.checkpoint(t)
			s.persist(t, 100)
			s.once(t)
			s.superuser(t, c.sql)
			for _, signed := range [][]byte{first, s.checkpoint(t)} {
				checkpoint, findings, err := sealer.CompareRoot(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: signed, Verifier: s.verifier})
				if err != nil {
					t.Fatal(err)
				}
				if c.want == "" && len(findings) != 0 || c.want != "" && (len(findings) != 1 || findings[0].Fault != c.want) {
					t.Errorf("size %d: %+v, want %q", checkpoint.Size, findings, c.want)
				}
			}
		})
	}
}

// A checkpoint that another key signed is refused.
func TestCompareRootChecksSignature(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 1)
	s.once(t)
	_, public, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	other, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = sealer.CompareRoot(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: other})
	if !errors.Is(err, seal.ErrUnsigned) {
		t.Errorf("%v, want one about the signature", err)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints"); n != 1 {
		t.Errorf("%d checkpoints", n)
	}
}
