package sealer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// What is sealed verifies, for logs that end in and between tiles.
func TestSealedVerifies(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	total := int64(0)
	for _, count := range []int{1, 1, 254, 1, 300, 0, 1000} {
		s.persist(t, count)
		total += int64(count)
		if n := s.once(t); n != int64(count) {
			t.Fatalf("%d rows sealed, want %d", n, count)
		}
		s.mustVerify(t, total)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints"); n != 6 {
		t.Errorf("%d checkpoints, want 6: nothing is signed when nothing changed", n)
	}
}

// Each record has a proof that verifies without the database.
func TestProofVerifiesOffline(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 700)
	s.once(t)
	for _, i := range []int{0, 1, 255, 256, 511, 512, 699} {
		proof, err := sealer.Prove(t.Context(), s.pool, "", recs[i].AuditID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := proof.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 1500 {
			t.Errorf("a proof of %d bytes", len(text))
		}
		read, err := seal.ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read.Verify(logName, s.verifier); err != nil {
			t.Fatal(err)
		}
		rec, err := read.Row.Record()
		if err != nil || rec.AuditID != recs[i].AuditID {
			t.Errorf("the proof is about %s, want %s: %v", rec.AuditID, recs[i].AuditID, err)
		}
	}
	if _, err := sealer.Prove(t.Context(), s.pool, "", uuid.New()); err == nil {
		t.Error("a record that is not there is proved")
	}
}

// A proof can lead to an exported checkpoint, old or new. It then ends with that text, with what
// its witnesses added.
func TestProofUnderAnExportedCheckpoint(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 300) // after the first 256, the rest are in no full tile
	s.once(t)
	first := append(s.checkpoint(t), "— witness.example/w1 AAAAAAAAAAAAAAAA\n"...)
	prove := func(signed []byte, i int) (seal.Proof, error) {
		t.Helper()
		prover, err := sealer.OpenProverAt(t.Context(), s.pool, "", signed, s.verifier)
		if err != nil {
			t.Fatal(err)
		}
		defer prover.Close(t.Context())
		return prover.Prove(t.Context(), recs[i].AuditID)
	}
	check := func(signed []byte, size int64, places ...int) {
		t.Helper()
		for _, i := range places {
			proof, err := prove(signed, i)
			if err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if c, err := proof.Verify(logName, s.verifier); err != nil || c.Size != size || !bytes.Equal(proof.Checkpoint, signed) {
				t.Errorf("record %d: size %d, %v", i, c.Size, err)
			}
		}
	}
	check(first, 300, 0, 255, 256, 299)
	recs = append(recs, s.persist(t, 100)...) // its tile is still not full
	s.once(t)
	check(first, 300, 0, 255, 256, 299)
	recs = append(recs, s.persist(t, 200)...) // now it is
	s.once(t)
	check(first, 300, 0, 255, 256, 299)
	check(s.checkpoint(t), 600, 0, 299, 300, 599)
	for _, i := range []int{300, 599} {
		if _, err := prove(first, i); !errors.Is(err, sealer.ErrNotSealed) {
			t.Errorf("record %d after the checkpoint: %v", i, err)
		}
	}

	forged, err := seal.SignCheckpoint(seal.Checkpoint{Origin: logName, Size: 300}, s.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.OpenProverAt(t.Context(), s.pool, "", forged, s.verifier); !errors.Is(err, sealer.ErrForked) {
		t.Errorf("another root of that size: %v", err)
	}
}

// A Prover that is closed says so, and not that the database is away.
func TestClosedProverSaysSo(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 3)
	s.once(t)
	prover, err := sealer.OpenProver(t.Context(), s.pool, "")
	if err != nil {
		t.Fatal(err)
	}
	prover.Close(t.Context())
	prover.Close(t.Context())
	if _, err := prover.Prove(t.Context(), recs[0].AuditID); !errors.Is(err, audit.ErrClosed) || !strings.Contains(err.Error(), "the prover is closed") {
		t.Errorf("%v, want ErrClosed that names the prover", err)
	}
}
