package trail

import (
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// With the rights that migrate grants gives, every call stores, and only the database sets seq and
// created_at.
func writerForgesNothing(t *testing.T, db frame.Database) {
	pool, role := frame.PoolAsPlainRole(t, db)
	grant(t, db, role)
	store := coordaudit.New(pool, fixture.Quiet())
	rec := fixture.NewRecord()
	fixture.MustPersist(t, store, rec)
	if result := fixture.MustPersist(t, store, rec); result.Outcome != audit.AlreadyPersisted {
		t.Errorf("again: %v", result.Outcome)
	}
	if _, err := store.PersistMany(t.Context(), fixture.NewRecords(3)); err != nil {
		t.Errorf("PersistMany: %v", err)
	}
	if counts, err := store.PersistManyFast(t.Context(), fixture.NewRecords(3)); err != nil || counts.Persisted != 3 {
		t.Errorf("PersistManyFast: %+v, %v", counts, err)
	}
	tx := frame.CallersTx(t, db.Pool)
	if _, err := tx.Exec(t.Context(), "SET LOCAL ROLE "+role); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
		t.Errorf("PersistTx: %v", err)
	}
	if _, err := tx.Exec(t.Context(), "RESET ROLE"); err != nil {
		t.Fatal(err)
	}
	frame.Commit(t, tx)
	if n := fixture.CountRecords(t, db.Pool); n != 8 {
		t.Errorf("%d records, want 8", n)
	}
	source, err := store.NewSource(t.Context(), "a batch")
	if err != nil {
		t.Fatalf("NewSource: %v", err)
	}
	if err := source.Close(t.Context()); err != nil {
		t.Errorf("Close of a source: %v", err)
	}
	for _, sql := range slices.Concat(forgeries(), []string{
		"UPDATE coordination_audit_records SET reason = 'rewritten'",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
		"UPDATE coordination_audit_statements SET label = 'rewritten'",
		"DELETE FROM coordination_audit_statements",
		"TRUNCATE coordination_audit_statements",
		"INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'erased', 1, '')",
		"SELECT * FROM coordination_audit_seal_tiles",
		"UPDATE coordination_audit_seal_tiles SET through = 1",
		"DELETE FROM coordination_audit_seal_tiles",
		"TRUNCATE coordination_audit_seal_tiles",
		"DELETE FROM coordination_audit_seal_checkpoints",
		"TRUNCATE coordination_audit_seal_checkpoints",
		"DELETE FROM coordination_audit_seal_events",
		"TRUNCATE coordination_audit_seal_events",
		"SELECT setval('coordination_audit_records_seq_seq', 1)",
		"SELECT nextval('coordination_audit_records_seq_seq')",
		"SELECT nextval('coordination_audit_statements_seq_seq')",
		"SELECT nextval('coordination_audit_seal_events_seq_seq')",
		"ALTER TABLE coordination_audit_records DISABLE TRIGGER ALL",
	}) {
		_, err := pool.Exec(t.Context(), sql)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want a lack of rights", sql, err)
		}
	}
}

// grant grants the rights that a deploy grants to a service's role.
func grant(t *testing.T, db frame.Database, writer string) {
	t.Helper()
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: fixture.Quiet().Logger})
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Writers: []string{writer}}); err != nil {
		t.Fatal(err)
	}
}

// forgeries insert records, gaps and statements with values that only the database may set.
func forgeries() []string {
	const record = "INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, "
	const values = "VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'why', now(), "
	const gap = "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause, "
	const gapValues = "VALUES (gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'a cause', "
	const statement = "INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label, "
	const statementValues = "VALUES (gen_random_uuid(), 1, 'opened', 0, 5, '{}', '{}', '{}', '{}', false, 'a', "
	return []string{
		record + "seq) OVERRIDING SYSTEM VALUE " + values + "7)",
		record + "created_at) " + values + "'2020-01-01')",
		gap + "seq) OVERRIDING SYSTEM VALUE " + gapValues + "7)",
		gap + "recorded_at) " + gapValues + "'2020-01-01')",
		statement + "seq) OVERRIDING SYSTEM VALUE " + statementValues + "7)",
		statement + "made_at) " + statementValues + "'2020-01-01')",
	}
}

// An infinite time would end every listing that reads it, and no one could remove the row.
func databaseTimesAreFinite(t *testing.T, db frame.Database) {
	for table, insert := range map[string]string{
		"records": "INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at) " +
			"VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'why', now(), $1::text::timestamptz)",
		"gaps": "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause, recorded_at) " +
			"VALUES (gen_random_uuid(), 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'a cause', $1::text::timestamptz)",
		"statements": "INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through, dropped, rejected, already_persisted, waiting, waiting_continues, label, made_at) " +
			"VALUES (gen_random_uuid(), 1, 'opened', 0, 5, '{}', '{}', '{}', '{}', false, 'a', $1::text::timestamptz)",
		"checkpoints": "INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note, made_at) " +
			"VALUES (1, 1, 0, decode(repeat('1f', 32), 'hex'), '', '', 1, 0, 0, 0, '{}', 'a note', $1::text::timestamptz)",
		"events": "INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body, made_at) " +
			"VALUES (gen_random_uuid(), 'erased', 1, '', $1::text::timestamptz)",
	} {
		constraint := map[string]string{
			"records": "coordination_audit_created_at_finite", "gaps": "coordination_audit_gaps_recorded_at_finite", "statements": "coordination_audit_statements_made_at_finite",
			"checkpoints": "coordination_audit_seal_checkpoints_made_at_finite", "events": "coordination_audit_seal_events_made_at_finite",
		}[table]
		for _, time := range []string{"infinity", "-infinity"} {
			_, err := db.Pool.Exec(t.Context(), insert, time)
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || db.Constraint(pgErr) != constraint {
				t.Errorf("%s at %s: %v, want it refused by %s", table, time, err, constraint)
			}
		}
	}
}
