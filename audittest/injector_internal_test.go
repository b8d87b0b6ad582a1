package audittest

import "testing"

func TestFaultIgnoresSchema(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"INSERT INTO coordination_audit_records (audit_id)",
		`INSERT INTO "public".coordination_audit_records (audit_id)`,
		`INSERT INTO "a ""trail""".coordination_audit_records (audit_id)`,
		"-- name: PersistAuditRecord :one\nINSERT INTO trail_2.coordination_audit_records (audit_id)",
	} {
		if !(Fault{Statement: AuditInsert}).chooses(sql) {
			t.Errorf("%s is not met", sql)
		}
	}
	if (Fault{Statement: AuditInsert}).chooses("SELECT * FROM coordination_audit_records") {
		t.Error("a SELECT is taken for an INSERT")
	}
}
