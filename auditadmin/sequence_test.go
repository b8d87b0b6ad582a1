package auditadmin_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin"
)

// withoutRows is what is left once the rows with the highest numbers have expired: the log
// still has them.
const withoutRows = `
	INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note)
	SELECT epoch, size, size - 10, decode(repeat('1f', 32), 'hex'), '', '', through, 0, 0, 0, '{}', 'a note'
	FROM (VALUES (1, 10, 700), (1, 20, 900), (2, 10, 300)) AS made (epoch, size, through);
	ALTER TABLE coordination_audit_records DISABLE TRIGGER USER;
	DELETE FROM coordination_audit_records;
	ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete;
	ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate`

// Rows are restored alone, and those with the highest numbers have expired. No new record gets the
// number of one of them, which an event calls expired. The log of each epoch counts.
func TestSequencePassesExpiredRows(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	execute(t, db, withoutRows)
	conn := connect(t, db, owner)
	execute(t, db, "SELECT setval('coordination_audit_records_seq_seq', 900)")
	if found := check(t, conn); len(auditadmin.Errors(found)) > 0 {
		t.Errorf("at the last sealed number: %v", found)
	}
	execute(t, db, "SELECT setval('coordination_audit_records_seq_seq', 899)")
	const sequence = "sequence public.coordination_audit_records_seq_seq"
	d := find(check(t, conn), sequence, auditadmin.Error)
	if d == nil || !strings.Contains(d.Got, "at 899, and rows go or went up to 900") {
		t.Errorf("before it: %+v", d)
	}
	if left, _ := repair(t, conn); len(auditadmin.Errors(left)) > 0 {
		t.Error(left)
	}
	execute(t, db, insertRecord)
	var lowest int64
	if err := db.Pool.QueryRow(t.Context(), "SELECT min(seq) FROM coordination_audit_records").Scan(&lowest); err != nil || lowest != 901 {
		t.Errorf("the next record has seq %d, %v", lowest, err)
	}
}

// A role that may not read the log, such as a writer, gets what the rows say.
func TestSequenceWithoutTheLog(t *testing.T) {
	t.Parallel()
	db, _ := owned(t)
	execute(t, db, withoutRows)
	role := newRole(t, db)
	execute(t, db, "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO "+role+"; GRANT SELECT ON coordination_audit_records, coordination_audit_gaps, coordination_audit_statements, coordination_audit_seal_events, coordaudit_schema_version TO "+role)
	for _, d := range check(t, connect(t, db, role)) {
		if strings.HasPrefix(d.Object, "sequence") {
			t.Errorf("%+v", d)
		}
	}
}

// RESTART WITH is how most people move a sequence past restored rows. It leaves a sequence that
// has given no number since, whose next number counts.
func TestRestartedSequence(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	const sequence = "sequence public.coordination_audit_records_seq_seq"
	conn := connect(t, db, owner)
	for _, ahead := range []string{
		"ALTER TABLE coordination_audit_records ALTER COLUMN seq RESTART WITH 6",
		"SELECT setval('coordination_audit_records_seq_seq', 6000, false)",
	} {
		execute(t, db, ahead)
		if d := find(check(t, conn), sequence, auditadmin.Error); d != nil {
			t.Errorf("%s: no row has the next number: %+v", ahead, d)
		}
	}

	execute(t, db, "ALTER TABLE coordination_audit_records ALTER COLUMN seq RESTART WITH 5")
	d := find(check(t, conn), sequence, auditadmin.Error)
	if d == nil || !strings.Contains(d.Got, "at 4, and rows go or went up to 5") {
		t.Errorf("the next number is taken: %+v", d)
	}

	execute(t, db, "ALTER TABLE coordination_audit_records ALTER COLUMN seq RESTART WITH 6")
	role := newRole(t, db)
	execute(t, db, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+role+"; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "+role)
	if d := find(check(t, connect(t, db, role)), sequence, auditadmin.Unchecked); d == nil || !strings.Contains(d.Repair, "GRANT SELECT ON SEQUENCE") {
		t.Errorf("a role that may not read the next number: %+v", d)
	}
}
