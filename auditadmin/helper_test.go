package auditadmin_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const insertRecord = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
	SELECT gen_random_uuid(), 'envelope ' || n, 'COST', 'APPLIED', 'a reason', now() FROM generate_series(1, 5) AS n;
	INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
		first_audit_id, last_audit_id, lost_from, lost_until, cause)
	VALUES (gen_random_uuid(), 0, 0, 1, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk is full');
	INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through,
		dropped, rejected, already_persisted, waiting, waiting_continues, label)
	VALUES (gen_random_uuid(), 1, 'periodic', 20, 1000, '{[1,4)}', '{}', '{[5,6)}', '{[10,21)}', false, 'coordinator-1');
	INSERT INTO coordination_audit_seal_tiles (epoch, level, idx, through, root, leaves, hashes)
	SELECT 1 + (random() * 1e15)::bigint, 0, 0, 256, decode(repeat('1f', 32), 'hex'), '', decode(repeat('2e', 8192), 'hex');
	INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note)
	SELECT 1 + (random() * 1e15)::bigint, 5, 0, decode(repeat('1f', 32), 'hex'), '', '', 5, 0, 0, 0, '{}', 'a note';
	INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'epoch opened', 2, 'a body')`

// trailTables lists the tables of the trail.
func trailTables() []string {
	return []string{
		"coordination_audit_records", "coordination_audit_gaps", "coordination_audit_statements",
		"coordination_audit_seal_tiles", "coordination_audit_seal_checkpoints", "coordination_audit_seal_events",
	}
}

func execute(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%v in %.300s", err, sql)
	}
}

// newRole returns a role that is dropped with the test.
func newRole(t *testing.T, db *testdb.DB) string {
	t.Helper()
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	execute(t, db, "CREATE ROLE "+role)
	dropWithTest(t, db, role)
	return role
}

func dropWithTest(t *testing.T, db *testdb.DB, role string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
}

// owned returns a migrated database with rows, and the ordinary role that owns the
// trail.
func owned(t *testing.T) (db *testdb.DB, owner string) {
	t.Helper()
	db = testdb.New(t)
	owner = newRole(t, db)
	execute(t, db, insertRecord)
	giveTo(t, db, owner)
	return db, owner
}

// giveTo makes a role the owner of the trail. The role may create tables and indexes
// in its schema.
func giveTo(t *testing.T, db *testdb.DB, owner string) {
	t.Helper()
	for _, table := range trailTables() {
		execute(t, db, "ALTER TABLE "+table+" OWNER TO "+owner)
	}
	execute(t, db, `
		GRANT CREATE, USAGE ON SCHEMA public TO `+owner+`;
		ALTER TABLE coordaudit_schema_version OWNER TO `+owner+`;
		DO $$ DECLARE own regprocedure; BEGIN
			FOR own IN SELECT oid FROM pg_proc WHERE starts_with(proname, 'coordination_audit_') LOOP
				EXECUTE format('ALTER FUNCTION %s OWNER TO `+owner+`', own);
			END LOOP;
		END $$`)
}

// connect opens a connection that acts as a role ("" is the server's superuser).
func connect(t *testing.T, db *testdb.DB, role string, settings ...string) *pgx.Conn {
	t.Helper()
	config := db.Pool.Config().ConnConfig.Copy()
	if role != "" {
		config.RuntimeParams["role"] = role
	}
	for i := 0; i < len(settings); i += 2 {
		config.RuntimeParams[settings[i]] = settings[i+1]
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func check(t *testing.T, conn *pgx.Conn) []auditadmin.Difference {
	t.Helper()
	differences, err := auditadmin.Check(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return differences
}

// repair returns the differences afterwards, and the actions taken.
func repair(t *testing.T, conn *pgx.Conn) ([]auditadmin.Difference, []auditadmin.Action) {
	t.Helper()
	var actions []auditadmin.Action
	differences, err := auditadmin.Repair(t.Context(), conn, auditadmin.RepairConfig{Report: func(a auditadmin.Action) { actions = append(actions, a) }})
	if err != nil {
		t.Fatal(err)
	}
	return differences, actions
}

func migrator(t *testing.T, db *testdb.DB) *auditmigrate.Migrator {
	t.Helper()
	m, err := auditmigrate.Open(db.URL, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rows returns the rows of a table in a fixed order.
func rows(t *testing.T, db *testdb.DB, table string) []string {
	t.Helper()
	found, err := db.Pool.Query(t.Context(), "SELECT t::text FROM "+table+" AS t ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// find returns the difference of an object with a severity, or nil.
func find(differences []auditadmin.Difference, object string, severity auditadmin.Severity) *auditadmin.Difference {
	for i, d := range differences {
		if d.Object == object && d.Severity == severity {
			return &differences[i]
		}
	}
	return nil
}
