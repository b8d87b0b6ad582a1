package trail

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Row 3: only UPDATE was refused. DELETE, TRUNCATE and rewriting by DELETE and INSERT worked, and so
// did everything under session_replication_role.
func refusesEdits(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewRecord()
	fixture.MustPersist(t, store, rec)
	fixture.MustExec(t, db.Pool, `
		INSERT INTO coordination_audit_seal_tiles (epoch, level, idx, through, root, leaves, hashes)
		VALUES (1, 0, 0, 256, decode(repeat('1f', 32), 'hex'), '', decode(repeat('2e', 8192), 'hex'))`)
	fixture.MustExec(t, db.Pool, `
		INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note)
		VALUES (1, 5, 0, decode(repeat('1f', 32), 'hex'), '', '', 5, 0, 0, 0, '{}', 'a note')`)
	fixture.MustExec(t, db.Pool, "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'erased', 1, '')")
	edits := []string{
		"UPDATE coordination_audit_seal_tiles SET through = through",
		"DELETE FROM coordination_audit_seal_tiles",
		"TRUNCATE coordination_audit_seal_tiles",
		"UPDATE coordination_audit_seal_checkpoints SET note = 'rewritten'",
		"DELETE FROM coordination_audit_seal_checkpoints",
		"TRUNCATE coordination_audit_seal_checkpoints",
		"INSERT INTO coordination_audit_seal_checkpoints SELECT * FROM coordination_audit_seal_checkpoints ON CONFLICT (epoch, size) DO UPDATE SET note = 'rewritten'",
		"UPDATE coordination_audit_seal_events SET body = 'rewritten'",
		"DELETE FROM coordination_audit_seal_events",
		"TRUNCATE coordination_audit_seal_events",
		"UPDATE coordination_audit_records SET reason = 'rewritten'",
		"UPDATE coordination_audit_records SET reason = reason",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
		"INSERT INTO coordination_audit_records OVERRIDING SYSTEM VALUE SELECT * FROM coordination_audit_records ON CONFLICT (audit_id) DO UPDATE SET reason = 'rewritten'",
		"WITH gone AS (DELETE FROM coordination_audit_records RETURNING 1) SELECT count(*) FROM gone",
	}
	if fixture.QueryInt(t, db.Pool, "SELECT current_setting('server_version_num')::int") >= 150_000 {
		source := "(SELECT 1) AS s ON true"
		if db.Distributed { // Citus merges from its own tables, by the key
			source = "coordination_audit_records AS s ON s.audit_id = t.audit_id"
		}
		edits = append(edits, "MERGE INTO coordination_audit_records AS t USING "+source+" WHEN MATCHED THEN DELETE")
	}
	frame.MustRefuseEdits(t, db, edits)
	stored, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil || len(stored.DiffersIn(rec)) > 0 {
		t.Errorf("the record changed: %+v, %v", stored, err)
	}
}

// Row 11: the database refuses what the library refuses, with constraints that name the fault.
func constraintsNameFaults(t *testing.T, db frame.Database) {
	const insert = `INSERT INTO coordination_audit_records
		(audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id)
		VALUES (gen_random_uuid(), $1, $2, $3, $4, $5::timestamptz, $6, $7, $8, $9)`
	good := []any{"env", "SAFETY", "REJECTED", "why", "2026-01-01T00:00:00Z", nil, nil, 0, nil}
	tests := []struct {
		column     int
		value      any
		constraint string
	}{
		{0, "", "coordination_audit_envelope_id_not_empty"},
		{1, "safety", "coordination_audit_envelope_class_valid"},
		{2, "rejected", "coordination_audit_decision_valid"},
		{3, " \t\n", "coordination_audit_reason_valid"},
		{3, strings.Repeat("x", 64<<10+1), "coordination_audit_reason_valid"},
		{4, "infinity", "coordination_audit_decision_timestamp_valid"},
		{4, "0001-01-01T00:00:00Z BC", "coordination_audit_decision_timestamp_valid"},
		{4, "10000-01-01T00:00:00Z", "coordination_audit_decision_timestamp_valid"},
		{5, "", "coordination_audit_optional_ids_not_empty"},
		{8, "", "coordination_audit_optional_ids_not_empty"},
		{7, -1, "coordination_audit_active_envelopes_count_valid"},
		{6, "other", "coordination_audit_only_preempted_has_preempting_id"},
		{2, "PREEMPTED", "coordination_audit_only_preempted_has_preempting_id"},
	}
	if _, err := db.Pool.Exec(t.Context(), insert, good...); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		row := append([]any(nil), good...)
		row[test.column] = test.value
		if test.column == 4 { // as text, because pgx does not know such times
			row[4] = test.value
		}
		_, err := db.Pool.Exec(t.Context(), insert, append([]any{pgx.QueryExecModeExec}, row...)...)
		pgErr, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || db.Constraint(pgErr) != test.constraint {
			t.Errorf("column %d: %v, want it refused by %s", test.column, err, test.constraint)
		}
	}
	applied := append([]any(nil), good...)
	applied[2], applied[5] = "APPLIED", "other"
	_, err := db.Pool.Exec(t.Context(), insert, applied...)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || db.Constraint(pgErr) != "coordination_audit_applied_has_no_conflicting_id" {
		t.Errorf("APPLIED with a conflicting id: %v", err)
	}
}

func refusesOwner(t *testing.T, db frame.Database) {
	fixture.MustPersist(t, frame.NewStore(db), fixture.NewRecord())
	pool, role := frame.PoolAsPlainRole(t, db)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records OWNER TO "+role)
	t.Cleanup(func() { // or dropping the owner would drop the table
		_, _ = db.Pool.Exec(context.Background(), "ALTER TABLE coordination_audit_records OWNER TO CURRENT_USER")
	})
	for _, edit := range []string{
		"UPDATE coordination_audit_records SET reason = 'rewritten'",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
	} {
		_, err := pool.Exec(t.Context(), edit)
		pgErr, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || pgErr.Code != "23000" {
			t.Errorf("as the owner: %s: %v, want it refused", edit, err)
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func emptyEditPasses(t *testing.T, db frame.Database) {
	fixture.MustPersist(t, frame.NewStore(db), fixture.NewRecord())
	for _, edit := range []string{
		"UPDATE coordination_audit_records SET reason = 'rewritten' WHERE audit_id = '6ba7b810-9dad-41d1-80b4-00c04fd430c8'",
		"DELETE FROM coordination_audit_records WHERE audit_id = '6ba7b810-9dad-41d1-80b4-00c04fd430c8'",
	} {
		if tag, err := db.Pool.Exec(t.Context(), edit); err != nil || tag.RowsAffected() != 0 {
			t.Errorf("%s: %v, %v; want nothing done", edit, tag, err)
		}
	}
}
