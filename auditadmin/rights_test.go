package auditadmin_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

func TestExcessRightsAreNamed(t *testing.T) {
	t.Parallel()
	const sequence = "sequence " + records + "_seq_seq"
	for name, test := range map[string]struct{ sql, object, got, repair string }{
		"InsertTable":      {"GRANT SELECT, INSERT ON coordination_audit_records TO $role", "table " + records, "INSERT: it can choose created_at and seq", "migrate grants --writer $role --apply"},
		"InsertSeq":        {"GRANT INSERT (audit_id, seq) ON coordination_audit_records TO $role", "table " + records, "INSERT (seq): it can choose", "migrate grants --writer $role --apply"},
		"InsertGaps":       {"GRANT INSERT ON coordination_audit_gaps TO $role", "table " + gaps, "it can choose", "migrate grants --writer $role --apply"},
		"InsertStatements": {"GRANT INSERT ON coordination_audit_statements TO $role", "table " + statements, "it can choose seq and made_at", "migrate grants --writer $role --apply"},
		"InsertTiles":      {"GRANT INSERT ON coordination_audit_seal_tiles TO $role", "table " + tiles, "INSERT", "migrate grants --sealer $role --apply"},
		"InsertEvents":     {"GRANT INSERT ON coordination_audit_seal_events TO $role", "table " + events, "it can choose seq and made_at", "migrate grants --sealer $role --apply"},
		"InsertMadeAt":     {"GRANT INSERT (made_at) ON coordination_audit_seal_checkpoints TO $role", "table " + checkpoints, "INSERT (made_at): it can choose made_at", "migrate grants --sealer $role --apply"},
		"DeleteTiles":      {"GRANT DELETE ON coordination_audit_seal_tiles TO $role", "table " + tiles, "DELETE", "migrate grants --reader $role --apply"},
		"UpdateColumn":     {"GRANT UPDATE (reason) ON coordination_audit_records TO $role", "table " + records, "UPDATE (reason)", "migrate grants --reader $role --apply"},
		"Others":           {"GRANT TRUNCATE, TRIGGER, REFERENCES, DELETE ON coordination_audit_records TO $role", "table " + records, "DELETE, REFERENCES, TRIGGER, TRUNCATE", "migrate grants --reader $role --apply"},
		"Setval":           {"GRANT USAGE ON SEQUENCE coordination_audit_records_seq_seq TO $role", sequence, "USAGE: it can move the sequence", "migrate grants --reader $role --apply"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			role := newRole(t, db)
			replace := strings.NewReplacer("$role", role).Replace
			execute(t, db, replace(test.sql))
			conn := connect(t, db, owner)
			object := "privileges of " + role + " on " + test.object
			found := check(t, conn)
			d := find(found, object, auditadmin.Notice)
			if d == nil || !strings.Contains(d.Got, test.got) || !strings.Contains(d.Repair, replace(test.repair)) || len(auditadmin.Errors(found)) > 0 {
				t.Fatalf("want a notice about %s: %v", object, found)
			}
			config := auditmigrate.GrantConfig{Readers: []string{role}}
			if strings.Contains(test.repair, "--writer") {
				config = auditmigrate.GrantConfig{Writers: []string{role}}
			}
			if strings.Contains(test.repair, "--sealer") {
				config = auditmigrate.GrantConfig{Sealers: []string{role}}
			}
			if _, err := migrator(t, db).ApplyGrants(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if d := find(check(t, conn), object, auditadmin.Notice); d != nil {
				t.Errorf("after the grants: %v", d)
			}
		})
	}
}

func TestMembersAreNamed(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	direct, through := newRole(t, db), newRole(t, db)
	writesAll := newRole(t, db)
	execute(t, db, "GRANT "+owner+" TO "+direct+"; GRANT "+direct+" TO "+through+"; GRANT pg_write_all_data TO "+writesAll)
	found := check(t, connect(t, db, owner))
	for role, repair := range map[string]string{direct: "REVOKE " + owner + " FROM " + direct, through: "take it out", writesAll: "REVOKE pg_write_all_data FROM " + writesAll} {
		if d := find(found, "role "+role, auditadmin.Notice); d == nil || !strings.Contains(d.Repair, repair) {
			t.Errorf("role %s: %v", role, found)
		}
	}
}
