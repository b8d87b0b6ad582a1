package sealer_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// hashOf returns the leaf hash of a record as it is in the table.
func (s *sealed) hashOf(t *testing.T, id uuid.UUID) seal.Hash {
	t.Helper()
	rec, err := coordaudit.New(s.pool, patient()).Get(t.Context(), audit.AllTenants(), id)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := seal.RecordRow(rec).Hash()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// insertAt stores a record with any seq.
func (s *sealed) insertAt(t *testing.T, seq int64) uuid.UUID {
	t.Helper()
	id := s.persist(t, 1)[0].AuditID
	s.superuser(t, "WITH moved AS (DELETE FROM coordination_audit_records WHERE audit_id = $2 RETURNING *) INSERT INTO coordination_audit_records OVERRIDING SYSTEM VALUE "+
		"SELECT (jsonb_populate_record(NULL::coordination_audit_records, to_jsonb(moved) || jsonb_build_object('seq', $1::bigint))).* FROM moved", seq, id)
	return id
}

// A checkpoint that says less than the log covers would have its rows sealed twice, and what was
// inserted among them with them.
func TestSealerRefusesToSealTwice(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"records_through", "gaps_through", "statements_through", "events_through"} {
		for _, records := range []int{10, 256} { // in the unfinished tile, and in a full one
			s := newSealed(t)
			s.persist(t, records-3)
			s.superuser(t, "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) "+
				"VALUES (gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk was full')")
			s.superuser(t, "INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label) "+
				"VALUES (gen_random_uuid(), 1, 'opened', 0, 100, '{}', '{}', '{}', '{}', false, 'label')")
			s.superuser(t, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'hold placed', 1, '{}')")
			s.once(t)
			s.mustVerify(t, int64(records))
			s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET "+column+" = 0")
			s.persist(t, 1)
			mustRefuse(t, s, sealer.ErrTampered)
		}
	}
}

// A checkpoint that was not exported yet is signed again, but only if this key has signed it
// before: whoever can store one could have any leaf signed otherwise.
func TestStoredCheckpointIsNotSignedForAnOwner(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 3)
	s.once(t)
	id := s.insertAt(t, -5)
	var tree seal.Tree
	var mark seal.Hash
	for _, of := range []uuid.UUID{recs[0].AuditID, recs[1].AuditID, recs[2].AuditID, id} {
		mark = s.hashOf(t, of)
		tree.Append(mark)
	}
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	var leaves []byte
	for _, distance := range []int64{1, 1, 1, -8} {
		leaves = binary.AppendVarint(leaves, distance<<2)
	}
	_, signatures, _ := strings.Cut(string(s.checkpoint(t)), "\n\n")
	s.superuser(t, "INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note) "+
		"SELECT epoch, 4, 3, $1, $2, $3, records_through, gaps_through, statements_through, events_through, awaited, $4 FROM coordination_audit_seal_checkpoints",
		root[:], leaves, mark[:4], seal.Checkpoint{Origin: logName, Size: 4, Root: root}.Text()+"\n"+signatures)
	before := s.checkpoint(t)
	s.refuses(t, "this key has not signed it", sealer.ErrTampered)
	if !bytes.Equal(s.checkpoint(t), before) {
		t.Errorf("exported %q", s.checkpoint(t))
	}
}

// A sequence at its end does not make the sealer begin again.
func TestSequenceAtItsEndSealsNothingTwice(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.superuser(t, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'hold placed', 1, '{}')")
	s.persist(t, 3)
	s.superuser(t, "SELECT setval('coordination_audit_seal_events_seq_seq', 9223372036854775807)")
	s.once(t)
	s.mustVerify(t, 4)
	for i := range 3 {
		s.persist(t, 1)
		if n := s.once(t); n != 1 {
			t.Errorf("round %d: %d rows sealed, want the new one", i, n)
		}
	}
	for _, seq := range []int64{math.MaxInt64, 1 << 61} {
		s.superuser(t, "SELECT setval('coordination_audit_records_seq_seq', $1)", seq-1)
		s.persist(t, 1)
		s.refuses(t, fmt.Sprintf("a record has seq %d", seq), sealer.ErrCannotSeal)
		s.superuser(t, "DELETE FROM coordination_audit_records WHERE seq = $1", seq)
	}
	s.mustVerify(t, 7)
}

// The last leaves may be of other kinds than the one that a changed checkpoint has sealed again. A
// sealer finds that of records, and a verification of the others.
func TestWhatIsFarBackIsNotSealedAgain(t *testing.T) {
	t.Parallel()
	const gaps = "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) " +
		"SELECT gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk was full' FROM generate_series(1, $1)"
	s := newSealed(t)
	s.persist(t, 10)
	s.once(t)
	s.superuser(t, gaps, 600)
	s.once(t)
	s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET records_through = 0")
	s.persist(t, 1)
	mustRefuse(t, s, sealer.ErrTampered)

	s = newSealed(t)
	s.superuser(t, gaps, 2)
	s.superuser(t, "SELECT nextval('coordination_audit_gaps_seq_seq')")
	s.superuser(t, gaps, 2)
	s.once(t)
	s.persist(t, 600)
	s.once(t)
	s.mustVerify(t, 604)
	s.superuser(t, "INSERT INTO coordination_audit_gaps OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::coordination_audit_gaps, to_jsonb(g) || jsonb_build_object('seq', 3, 'gap_id', gen_random_uuid()))).* FROM coordination_audit_gaps g WHERE seq = 1")
	s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET gaps_through = 0")
	s.persist(t, 1)
	s.once(t)
	if result := s.verify(t); len(result.Findings) != 4 || result.Findings[0].Fault != sealer.Damaged {
		t.Errorf("found %+v, want the gaps that were sealed twice", result.Findings)
	}
}
