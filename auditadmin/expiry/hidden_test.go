package expiry_test

import (
	"encoding/binary"
	"log/slog"
	"strconv"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// leavesWith returns the list of the leaves of a tile in which the seq of one record stands in the
// place of another.
func leavesWith(listed []byte, seq, instead int64) (leaves []byte) {
	var before, last int64
	for len(listed) > 0 {
		code, n := binary.Varint(listed)
		listed = listed[n:]
		if code&3 != 0 { // no record
			leaves = binary.AppendVarint(leaves, code)
			continue
		}
		before += code >> 2
		now := before
		if now == seq {
			now = instead
		}
		leaves, last = binary.AppendVarint(leaves, (now-last)<<2), now
	}
	return leaves
}

// deleteBehind deletes a record, whose leaf is said to be that of another one, of a lower seq.
func (tr *trail) deleteBehind(t *testing.T, epoch, deleted, expired int64) {
	t.Helper()
	var listed []byte
	if err := tr.db.Pool.QueryRow(t.Context(), "SELECT leaves FROM coordination_audit_seal_tiles WHERE epoch = $1 AND level = 0 AND idx = 0", epoch).Scan(&listed); err != nil {
		t.Fatal(err)
	}
	tr.behindGuards(t, "DELETE FROM coordination_audit_records WHERE seq = $1", deleted)
	execute(t, tr.db.Pool, "ALTER TABLE coordination_audit_seal_tiles DISABLE TRIGGER USER")
	execute(t, tr.db.Pool, "UPDATE coordination_audit_seal_tiles SET leaves = $1, late_from = $2, late_through = $2 WHERE epoch = $3 AND level = 0 AND idx = 0",
		leavesWith(listed, deleted, expired), expired, epoch)
}

// withCostExpired makes a trail whose records of class COST are expired. It returns the seq of one of
// them, and that of a record of another class, which is there.
func withCostExpired(t *testing.T) (tr *trail, expired, kept int64) {
	t.Helper()
	tr = newTrail(t)
	recs := tr.fill(t, 1000)
	tr.seal(t)
	expired, kept = seqOf(t, tr, recs[4].AuditID), seqOf(t, tr, recs[9].AuditID) // of class COST, and of SAFETY
	dir, _ := tr.archive(t, cost())
	tr.mustApply(t, dir)
	tr.seal(t)
	return tr, expired, kept
}

// mustMissOne fails unless a verification finds that one row is missing, and nothing else.
func (tr *trail) mustMissOne(t *testing.T) {
	t.Helper()
	if result := tr.verify(t); len(result.Findings) != 1 || result.Findings[0].Fault != sealer.Missing {
		t.Errorf("%+v", result)
	}
}

// What a tile says of the seq of a leaf is covered by no hash. A leaf whose record someone deleted is
// said to be that of a record which did expire.
func TestDeletionBehindAnExpiryIsFound(t *testing.T) {
	t.Parallel()
	tr, expired, deleted := withCostExpired(t)
	tr.mustVerify(t)
	tr.deleteBehind(t, 1, deleted, expired)
	tr.mustMissOne(t)
}

// What expired before an epoch began is no leaf of its log, and excuses none.
func TestExpiryOfAnEarlierEpochExcusesNothing(t *testing.T) {
	t.Parallel()
	tr, expired, deleted := withCostExpired(t)
	made, err := sealer.New(tr.db.Pool, sealer.Config{Signer: tr.signer, Export: tr.export, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.OpenEpoch(t.Context(), "a test"); err != nil {
		t.Fatal(err)
	}
	tr.fill(t, 1000)
	tr.seal(t)
	dir, m := tr.archive(t, cost())
	tr.mustApply(t, dir)
	tr.seal(t)
	if result := tr.mustVerify(t); result.Expired != m.Records {
		t.Errorf("%+v", result)
	}
	tr.deleteBehind(t, 2, deleted, expired)
	tr.mustMissOne(t)
}

// An event of another kind records no erasure: it says neither who nor why.
func TestEventOfAnotherKindIsNoErasure(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	id, seq := recs[0].AuditID, seqOf(t, tr, recs[0].AuditID)
	tr.behindGuards(t, `UPDATE coordination_audit_records SET reason = '[erased sha256:' || encode(sha256(
		convert_to('coordaudit reason', 'UTF8') || decode('00', 'hex') || uuid_send(audit_id) || convert_to(reason, 'UTF8')), 'hex') || ']' WHERE audit_id = $1`, id)
	execute(t, tr.db.Pool, `INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body)
		VALUES (md5('coordaudit erased reason ' || $1::text || ' ' || $2::text)::uuid, 'hold placed', 1, '{}')`, id.String(), strconv.FormatInt(seq, 10))
	if result := tr.verify(t); result.Erased != 0 || len(result.Findings) != 1 || result.Findings[0].Fault != sealer.Edited {
		t.Errorf("%+v", result)
	}
}

// Of two records with one seq, as a restore may make them, one expires.
func TestExpiryOfOneOfTwoWithOneSeqIsNoFinding(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 100)
	execute(t, tr.db.Pool, "ALTER SEQUENCE coordination_audit_records_seq_seq RESTART WITH 40")
	tr.fill(t, 600)
	tr.seal(t)
	tr.mustVerify(t)
	dir, m := tr.archive(t, cost())
	if _, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil); err != nil {
		t.Error(err)
	}
	tr.mustApply(t, dir)
	tr.seal(t)
	if result := tr.mustVerify(t); result.Expired != m.Records || result.Verified != result.Checkpoint.Size-m.Records {
		t.Errorf("%+v, want %d expired", result, m.Records)
	}
	// The other one is still looked at.
	tr.behindGuards(t, "UPDATE coordination_audit_records SET reason = 'edited' WHERE ctid = (SELECT min(r.ctid) FROM coordination_audit_records AS r WHERE r.seq = $1)", 40)
	if result := tr.verify(t); len(result.Findings) == 0 {
		t.Error("an edit of the other one is not found")
	}
}
