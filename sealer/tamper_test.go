package sealer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// columns that an edit may touch, each with another valid value.
func edits() map[string]string {
	return map[string]string{
		"envelope_id":             "'another'",
		"envelope_class":          "CASE envelope_class WHEN 'COST' THEN 'SAFETY' ELSE 'COST' END",
		"decision":                "CASE decision WHEN 'APPLIED' THEN 'REJECTED' ELSE 'APPLIED' END",
		"reason":                  "reason || ' '",
		"decision_timestamp":      "decision_timestamp + interval '1 microsecond'",
		"created_at":              "created_at - interval '1 microsecond'",
		"conflicting_envelope_id": "'conflicting'",
		"preempting_envelope_id":  "'preempting'",
		"active_envelopes_count":  "active_envelopes_count + 1",
		"tenant_id":               "'tenant of another'",
		"target_subsystem":        "'subsystem'",
		"target_parameter":        "'parameter'",
		"counterpart_class":       "'SAFETY'",
		"reason_code":             "'CODE'",
		"policy_version":          "'policy'",
		"actor":                   "'actor'",
		"caused_by":               "gen_random_uuid()",
		"corrects":                "gen_random_uuid()",
		"correlation_id":          "'correlation'",
		"trace_id":                `'\x0102030405060708090a0b0c0d0e0f10'`,
		"details":                 `'{"a": 1}'`,
		"source_id":               "gen_random_uuid(), source_seq = 7",
	}
}

// An edit of any column is found, and named by the record's id.
func TestEditIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 600)
	s.once(t)
	s.dropChecks(t)
	i := 0
	for column, value := range edits() {
		for _, at := range []int{i, 300 + i, 599 - i} { // in full tiles and in the unfinished one
			id := recs[at].AuditID
			row := fixture.QueryText(t, s.pool, "SELECT to_jsonb(r)::text FROM coordination_audit_records r WHERE audit_id = $1", id)
			s.superuser(t, "UPDATE coordination_audit_records SET "+column+" = "+value+" WHERE audit_id = $1", id)
			result := s.verify(t)
			if !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool {
				return f.Fault == sealer.Edited && f.ID == id && strings.Contains(f.Text, id.String())
			}) || len(result.Findings) != 1 {
				t.Errorf("%s of record %d: findings %+v", column, at, result.Findings)
			}
			s.superuser(t, `UPDATE coordination_audit_records r SET (envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
				conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class, reason_code,
				policy_version, actor, caused_by, corrects, correlation_id, trace_id, details, source_id, source_seq) =
				(SELECT envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
				conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class, reason_code,
				policy_version, actor, caused_by, corrects, correlation_id, trace_id, details, source_id, source_seq
				FROM jsonb_populate_record(NULL::coordination_audit_records, $2::jsonb)) WHERE audit_id = $1`, id, row)
		}
		i++
	}
	s.mustVerify(t, 600)
}

// Swapped tenants are two edits.
func TestSwapIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 300)
	s.superuser(t, "UPDATE coordination_audit_records SET tenant_id = audit_id::text")
	s.once(t)
	one, other := recs[10].AuditID, recs[270].AuditID
	s.superuser(t, "UPDATE coordination_audit_records SET tenant_id = CASE audit_id WHEN $1 THEN $2::uuid ELSE $1 END::text WHERE audit_id IN ($1, $2)", one, other)
	wantFindings(t, s.verify(t), sealer.Edited, one, other)
}

// A deletion is named by the seq, and each other record still verifies.
func TestDeletionIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 600)
	s.once(t)
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE audit_id = ANY ($1)", []uuid.UUID{recs[3].AuditID, recs[599].AuditID})
	result := s.verify(t)
	var seqs []int64
	for _, f := range result.Findings {
		if f.Fault == sealer.Missing {
			seqs = append(seqs, f.Seq)
		}
	}
	if !slices.Equal(seqs, []int64{4, 600}) || result.Verified != 598 {
		t.Errorf("%d verified, findings %+v", result.Verified, result.Findings)
	}
}

// A record that is inserted below the last sealed one is named.
func TestInsertionIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 300)
	s.superuser(t, "SELECT nextval('coordination_audit_records_seq_seq')") // a hole, as a rollback leaves
	s.persist(t, 300)
	s.once(t)
	var want []uuid.UUID
	for _, seq := range []int64{301, 5, 599, 601, 0, -1} { // holes, places that are taken, and places before the first
		id := uuid.New()
		s.superuser(t, "INSERT INTO coordination_audit_records (audit_id, seq, envelope_id, envelope_class, decision, reason, decision_timestamp) "+
			"OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'forged', 'COST', 'APPLIED', 'forged', now())", id, seq)
		want = append(want, id)
	}
	wantFindings(t, s.verify(t), sealer.Inserted, want...)
}

func wantFindings(t *testing.T, result sealer.Verification, fault sealer.Fault, ids ...uuid.UUID) {
	t.Helper()
	found := map[uuid.UUID]bool{}
	for _, f := range result.Findings {
		if f.Fault == fault {
			found[f.ID] = true
		} else {
			t.Errorf("an unexpected finding: %+v", f)
		}
	}
	for _, id := range ids {
		if !found[id] {
			t.Errorf("%s is not found as %s", id, fault)
		}
	}
	if len(found) != len(ids) {
		t.Errorf("%d findings, want %d: %+v", len(found), len(ids), result.Findings)
	}
}

// A damaged tile is named as such, and no record is blamed.
func TestDamagedTileIsNamed(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"Hash":           "UPDATE coordination_audit_seal_tiles SET hashes = overlay(hashes PLACING decode(repeat('00', 32), 'hex') FROM 65) WHERE level = 0 AND idx = 1",
		"HashOfTheLast":  "UPDATE coordination_audit_seal_tiles SET hashes = overlay(hashes PLACING decode(repeat('00', 32), 'hex') FROM 1) WHERE level = 0 AND idx = 2",
		"Root":           "UPDATE coordination_audit_seal_tiles SET root = decode(repeat('00', 32), 'hex') WHERE level = 0 AND idx = 1",
		"Marks":          "UPDATE coordination_audit_seal_checkpoints SET marks = decode(repeat('00', length(marks)), 'hex') WHERE size = 900",
		"MarksMoved":     "UPDATE coordination_audit_seal_checkpoints SET previous_size = 800 WHERE size = 900",
		"Note":           "UPDATE coordination_audit_seal_checkpoints SET note = replace(note, 'trail', 'trial') WHERE size = 600",
		"CheckpointRoot": "UPDATE coordination_audit_seal_checkpoints SET root = decode(repeat('00', 32), 'hex') WHERE size = 600",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 600)
			s.once(t)
			s.persist(t, 300)
			s.once(t)
			s.superuser(t, sql)
			result := s.verify(t)
			if len(result.Findings) == 0 || result.Verified != 900 || slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool { return f.Fault != sealer.Damaged }) {
				t.Errorf("%d verified; findings %+v", result.Verified, result.Findings)
			}
		})
	}
}

// A log that is cut off, rows and all, is found by an exported checkpoint, and the sealer
// refuses to go on. It is still found when the log has grown to the same size again.
func TestOldBackupIsFound(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 600)
	s.once(t)
	old := s.checkpoint(t)
	s.persist(t, 400)
	s.once(t)
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE seq > 600")
	s.superuser(t, "DELETE FROM coordination_audit_seal_checkpoints WHERE size > 600")
	s.superuser(t, "DELETE FROM coordination_audit_seal_tiles WHERE idx > 1")
	s.superuser(t, "SELECT setval('coordination_audit_records_seq_seq', 600)")

	if result := s.verifyAgainst(t, old); len(result.Findings) > 0 {
		t.Errorf("against the older checkpoint: %+v", result.Findings)
	}
	if result := s.verify(t); len(result.Findings) != 1 || result.Findings[0].Fault != sealer.CutOff || result.Verified != 600 {
		t.Errorf("cut off: %d verified, %+v", result.Verified, result.Findings)
	}
	mustRefuse(t, s, sealer.ErrCutOff)

	newest := s.checkpoint(t)
	s.persist(t, 400)
	exported := s.export
	s.export, s.newPlace = sealer.Directory(t.TempDir()), true // the attacker's own
	s.once(t)
	s.export, s.newPlace = exported, false
	if result := s.verifyAgainst(t, newest); !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool { return f.Fault == sealer.Forked }) {
		t.Errorf("grown to the same size: %+v", result.Findings)
	}
	mustRefuse(t, s, sealer.ErrForked)
}

func mustRefuse(t *testing.T, s *sealed, want error) {
	t.Helper()
	before := string(s.checkpoint(t))
	stored := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints")
	_, err := s.sealer(t).Once(t.Context())
	if !errors.Is(err, want) {
		t.Errorf("sealing: %v, want %v", err, want)
	}
	if string(s.checkpoint(t)) != before || fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints") != stored {
		t.Error("something was signed")
	}
}

// An edit, a deletion or a list of leaves that was changed in the unfinished tile stops the
// sealer when it starts.
func TestSealerRefusesChangedTail(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"Edited":     "UPDATE coordination_audit_records SET reason = 'another' WHERE seq = 290",
		"Deleted":    "DELETE FROM coordination_audit_records WHERE seq = 290",
		"Leaves":     "UPDATE coordination_audit_seal_checkpoints SET leaves = ''",
		"TileGone":   "DELETE FROM coordination_audit_seal_tiles",
		"RootEdited": "UPDATE coordination_audit_seal_tiles SET root = decode(repeat('00', 32), 'hex')",
		"Note":       "UPDATE coordination_audit_seal_checkpoints SET note = replace(note, '300', '301')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 300)
			s.once(t)
			s.superuser(t, sql)
			s.persist(t, 1)
			mustRefuse(t, s, sealer.ErrTampered)
		})
	}
}

// Gaps, statements and events are sealed as well.
func TestOtherKindsAreSealed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 10)
	s.superuser(t, "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) "+
		"SELECT gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk was full' FROM generate_series(1, 3)")
	s.superuser(t, "INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label) "+
		"SELECT gen_random_uuid(), n, 'opened', 0, 100, '{}', '{}', '{}', '{}', false, 'label' FROM generate_series(1, 3) AS n")
	if n := s.once(t); n != 16 {
		t.Fatalf("%d rows sealed, want 16", n)
	}
	s.mustVerify(t, 16)
	for i, sql := range []string{
		"UPDATE coordination_audit_gaps SET cause = 'another' WHERE seq = 2",
		"UPDATE coordination_audit_statements SET dropped = '{[1,2)}' WHERE seq = 3",
	} {
		s.superuser(t, sql)
		result := s.verify(t)
		want := []seal.Kind{seal.Gap, seal.Statement}[i]
		if !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool { return f.Fault == sealer.Edited && f.Kind == want }) {
			t.Errorf("%s: %+v", want, result.Findings)
		}
	}
	s.superuser(t, "DELETE FROM coordination_audit_gaps WHERE seq = 1")
	if result := s.verify(t); !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool {
		return f.Fault == sealer.Missing && f.Kind == seal.Gap && f.Seq == 1
	}) {
		t.Errorf("a deleted gap: %+v", result.Findings)
	}
	s.superuser(t, "INSERT INTO coordination_audit_gaps (gap_id, seq, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) "+
		"OVERRIDING SYSTEM VALUE VALUES (gen_random_uuid(), -3, 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'forged')")
	if result := s.verify(t); !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool {
		return f.Fault == sealer.Inserted && f.Kind == seal.Gap && f.Seq == -3
	}) {
		t.Errorf("an inserted gap: %+v", result.Findings)
	}
}

// A copy of a sealed row is named, where an owner has dropped the primary key to make one.
func TestCopyIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 300)
	s.superuser(t, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) SELECT gen_random_uuid(), 'hold placed', 1, '{}' FROM generate_series(1, 3)")
	s.once(t)
	s.mustVerify(t, 303)
	event := uuid.MustParse(fixture.QueryText(t, s.pool, "SELECT event_id::text FROM coordination_audit_seal_events WHERE seq = 2"))
	for _, table := range []string{"records", "seal_events"} {
		s.superuser(t, "ALTER TABLE coordination_audit_"+table+" DROP CONSTRAINT coordination_audit_"+table+"_pkey")
	}
	s.superuser(t, "INSERT INTO coordination_audit_records OVERRIDING SYSTEM VALUE SELECT * FROM coordination_audit_records WHERE audit_id IN ($1, $2)", recs[7].AuditID, recs[290].AuditID)
	s.superuser(t, "INSERT INTO coordination_audit_seal_events OVERRIDING SYSTEM VALUE SELECT * FROM coordination_audit_seal_events WHERE event_id = $1", event)
	wantFindings(t, s.verify(t), sealer.Inserted, recs[7].AuditID, recs[290].AuditID, event)
	// One of two is edited. That is the copy.
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'edited' WHERE ctid = (SELECT min(ctid) FROM coordination_audit_records WHERE audit_id = $1)", recs[7].AuditID)
	wantFindings(t, s.verify(t), sealer.Inserted, recs[7].AuditID, recs[290].AuditID, event)
}

// A gap, statement or event that is inserted with the seq of a sealed one is found, in a full tile
// and in the unfinished one, wherever it comes in the order of the rows. Rows that were sealed
// with one seq, as after a sequence was set back, are no finding.
func TestInsertionWithATakenSeqIsNamed(t *testing.T) {
	t.Parallel()
	const event = "INSERT INTO coordination_audit_seal_events (seq, event_id, kind, epoch, body) OVERRIDING SYSTEM VALUE "
	for _, records := range []int{10, 300} {
		s := newSealed(t)
		for seq := range 2 {
			s.superuser(t, event+"SELECT $1, gen_random_uuid(), 'hold placed', 1, '{}' FROM generate_series(1, 2)", seq+1)
		}
		s.superuser(t, event+"SELECT 3, gen_random_uuid(), 'hold placed', 1, '{}'")
		s.superuser(t, "SELECT setval('coordination_audit_seal_events_seq_seq', 3)")
		s.persist(t, records)
		s.once(t)
		s.mustVerify(t, int64(records)+5)
		for _, id := range []uuid.UUID{{}, uuid.Max} {
			for _, seq := range []int{1, 3} {
				s.superuser(t, event+"VALUES ($1, $2, 'hold placed', 1, '{}')", seq, id)
				wantFindings(t, s.verify(t), sealer.Inserted, id)
				s.superuser(t, "DELETE FROM coordination_audit_seal_events WHERE event_id = $1", id)
			}
		}
		s.superuser(t, "INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label) "+
			"SELECT '00000000-0000-0000-0000-000000000001', n, 'opened', 0, 100, '{}', '{}', '{}', '{}', false, 'label' FROM generate_series(1, 2) AS n")
		s.once(t)
		s.superuser(t, "INSERT INTO coordination_audit_statements (seq, source_id, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label) OVERRIDING SYSTEM VALUE "+
			"SELECT 2, source_id, 3, 'periodic', 0, 100, '{[1,50)}', '{}', '{}', '{}', false, label FROM coordination_audit_statements WHERE seq = 2")
		wantFindings(t, s.verify(t), sealer.Inserted, uuid.UUID{15: 1})
	}
}

// A new epoch seals everything again, under another origin, and names the last checkpoint.
func TestEpochGoesOnAfterRestore(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 300)
	s.once(t)
	old := string(s.checkpoint(t))
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE seq > 200")
	s.superuser(t, "DELETE FROM coordination_audit_seal_checkpoints")
	s.superuser(t, "DELETE FROM coordination_audit_seal_tiles")
	s.superuser(t, "SELECT setval('coordination_audit_records_seq_seq', 200)")
	mustRefuse(t, s, sealer.ErrCutOff)
	epoch, err := s.sealer(t).OpenEpoch(t.Context(), "restored the backup of Tuesday")
	if err != nil || epoch != 2 {
		t.Fatalf("epoch %d: %v", epoch, err)
	}
	s.mustVerify(t, 1) // the event
	if n := s.once(t); n != 200 {
		t.Fatalf("%d rows sealed, want 200 records", n)
	}
	s.mustVerify(t, 201)
	s.persist(t, 500)
	s.once(t)
	s.mustVerify(t, 701)
	if text := string(s.checkpoint(t)); !strings.HasPrefix(text, logName+"/epoch/2\n") {
		t.Errorf("the checkpoint's origin is not that of epoch 2: %q", text)
	}
	body := fixture.QueryText(t, s.pool, "SELECT body::jsonb->>'previous_checkpoint' FROM coordination_audit_seal_events WHERE kind = 'epoch opened'")
	if body != old {
		t.Errorf("the event names %q, want %q", body, old)
	}
	if result := s.verifyAgainst(t, []byte(old)); len(result.Findings) == 0 {
		t.Error("the checkpoint of the old epoch verifies, although its log is gone")
	}
}
