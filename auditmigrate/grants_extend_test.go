package auditmigrate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// A service that starts right after the migrations already has its rights.
func TestUpExtendsGrants(t *testing.T) {
	t.Parallel()
	for _, from := range []int64{1, 2, 3, 4, 5, 6, 7, 8, 9} {
		db, _, migrator := owned(t)
		if _, err := migrator.UpTo(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		writer, reader, narrow := newRole(t, db), newRole(t, db), newRole(t, db)
		config := auditmigrate.GrantConfig{Writers: []string{writer}, Readers: []string{reader}}
		mustApply(t, migrator, config)
		execute(t, db.Pool, "GRANT INSERT (audit_id, reason), SELECT (audit_id) ON coordination_audit_records TO "+narrow)
		mustUp(t, migrator)
		plan, err := migrator.PlanGrants(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string(nil), plan.Statements, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("from %d: what grants lack after up:\n%s", from, diff)
		}
		if _, err := poolAs(t, db, writer).Exec(t.Context(), insertContext); err != nil {
			t.Errorf("from %d: a writer's context: %v", from, err)
		}
		for _, sql := range []string{insertOrigin, insertStatement} {
			if _, err := poolAs(t, db, writer).Exec(t.Context(), sql); err != nil {
				t.Errorf("from %d: a writer's %s: %v", from, sql, err)
			}
		}
		for _, sql := range []string{"SELECT * FROM coordination_audit_seal_tiles", "SELECT last_value FROM coordination_audit_seal_events_seq_seq"} {
			if _, err := poolAs(t, db, reader).Exec(t.Context(), sql); err != nil {
				t.Errorf("from %d: a reader's %s: %v", from, sql, err)
			}
			mustBeForbidden(t, poolAs(t, db, writer), "writer", sql)
		}
		mustBeForbidden(t, poolAs(t, db, reader), "reader", insertTile, insertCheckpoint, insertSealEvent)
		mustBeForbidden(t, poolAs(t, db, narrow), "narrow role", "SELECT * FROM coordination_audit_gaps", "SELECT * FROM coordination_audit_statements",
			"SELECT * FROM coordination_audit_seal_tiles", "SELECT * FROM coordination_audit_seal_checkpoints", "SELECT * FROM coordination_audit_seal_events",
			"INSERT INTO coordination_audit_records (audit_id, target_subsystem) VALUES (gen_random_uuid(), 'x')")
	}
}

func TestGrantsAcrossDown(t *testing.T) {
	t.Parallel()
	db, owner, migrator := owned(t)
	mustUp(t, migrator)
	writer, reader, sealer, other := newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Writers: []string{writer}, Readers: []string{reader}, Sealers: []string{sealer}})
	execute(t, db.Pool, "GRANT SELECT ON coordination_audit_gaps, coordination_audit_statements, coordination_audit_seal_tiles TO "+other+" WITH GRANT OPTION")
	before := texts(t, db.Pool, grantsOf, "")
	if _, err := migrator.Redo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, texts(t, db.Pool, grantsOf, "")); diff != "" {
		t.Errorf("rights (-before +after redo):\n%s", diff)
	}

	var book logBook
	if _, err := asWith(db, owner, auditmigrate.Config{Logger: book.logger()}).DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	text := book.String()
	if !strings.Contains(text, "audit_grants_lost") || !strings.Contains(text, writer) || !strings.Contains(text, reader) || !strings.Contains(text, sealer) || !strings.Contains(text, other) {
		t.Errorf("log is\n%s\nwant the roles whose rights are gone", text)
	}
}
