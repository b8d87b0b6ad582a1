package sealer_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// plantEpoch stores what opens an epoch, as one who has no key can.
func (s *sealed) plantEpoch(t *testing.T, epoch int) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"reason": "planted", "previous_checkpoint": string(s.checkpoint(t))})
	if err != nil {
		t.Fatal(err)
	}
	s.superuser(t, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'epoch opened', $1, $2)", epoch, string(body))
}

// An owner who edits a row cannot have it signed by opening another epoch: that takes the key.
func TestPlantedEpochIsRefused(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 30)
	s.once(t)
	before := string(s.checkpoint(t))
	s.dropChecks(t)
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'edited' WHERE seq = 4")
	s.plantEpoch(t, 2)
	s.refuses(t, "knows epoch 2, and the last exported checkpoint is of epoch 1", sealer.ErrForked)
	// Neither does a checkpoint help that the key did not sign.
	s.superuser(t, "INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note) "+
		"SELECT 2, size, 0, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, replace(note, E'trail\\n30', E'trail/epoch/2\\n30') FROM coordination_audit_seal_checkpoints")
	s.refuses(t, "knows epoch 2", sealer.ErrForked)
	if after := string(s.checkpoint(t)); after != before {
		t.Errorf("exported %q", after)
	}
	wantFindings(t, s.verify(t), sealer.Edited, recs[3].AuditID)

	// With the key, an operator opens the next one.
	if epoch, err := s.sealer(t).OpenEpoch(t.Context(), "somebody planted one"); err != nil || epoch != 3 {
		t.Fatalf("epoch %d: %v", epoch, err)
	}
	s.once(t)
	s.mustVerify(t, 32) // and two events
}

// failing is a place that takes nothing more.
type failing struct{ sealer.Exporter }

func (failing) Export(context.Context, int64, int64, []byte) error {
	return errors.New("the disk is full")
}

// An epoch is open when its first checkpoint is exported. One that is not can be opened again.
func TestEpochIsOpenWhenItIsExported(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	s.once(t)
	place := s.export
	s.export = failing{place}
	if epoch, err := s.sealer(t).OpenEpoch(t.Context(), "a test"); !errors.Is(err, sealer.ErrExport) {
		t.Errorf("epoch %d: %v, want ErrExport", epoch, err)
	}
	s.export = place
	s.refuses(t, "open a new epoch", sealer.ErrForked)
	if epoch, err := s.sealer(t).OpenEpoch(t.Context(), "a test"); err != nil || epoch != 3 {
		t.Fatalf("epoch %d: %v", epoch, err)
	}
	if text := string(s.checkpoint(t)); !strings.HasPrefix(text, logName+"/epoch/3\n1\n") {
		t.Errorf("exported %q, want the first checkpoint of epoch 3", text)
	}
	s.mustVerify(t, 1)
	s.once(t)
	s.mustVerify(t, 5)
}

// Another key of the same name does not go on with a log: whoever has the first public key could
// verify nothing of it any more. It begins an epoch.
func TestAnotherKeyNeedsAnEpoch(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	s.once(t)
	private, public, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	if s.signer, err = note.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	s.persist(t, 3)
	s.refuses(t, "signed by another key", sealer.ErrCannotSeal)
	if _, err := s.sealer(t).OpenEpoch(t.Context(), "a new key"); err != nil {
		t.Fatal(err)
	}
	s.once(t)
	if s.verifier, err = note.NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t, 7)
}

// A checkpoint whose export is missing is exported by the next sealer, if this key has signed it.
func TestMissingExportIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	s.once(t)
	s.persist(t, 3)
	place := s.export
	s.export = failing{place}
	if _, err := s.sealer(t).Once(t.Context()); !errors.Is(err, sealer.ErrExport) {
		t.Fatalf("%v, want ErrExport", err)
	}
	s.export = place
	note := fixture.QueryText(t, s.pool, "SELECT note FROM coordination_audit_seal_checkpoints WHERE size = 6")
	// The last characters are of the signature, the first ones are of the key.
	s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET note = overlay(note PLACING CASE substr(note, length(note) - 10, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM length(note) - 10) WHERE size = 6")
	s.refuses(t, "this key has not signed it", sealer.ErrTampered)
	s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET note = $1 WHERE size = 6", note)
	s.once(t)
	if signed := string(s.checkpoint(t)); signed != note {
		t.Errorf("exported %q, want %q", signed, note)
	}
	s.mustVerify(t, 6)
}
