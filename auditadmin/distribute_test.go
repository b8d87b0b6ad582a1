package auditadmin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestDistributeNeedsACluster(t *testing.T) {
	t.Parallel()
	if onCitus(t) {
		t.Skip("there is a cluster")
	}
	db := testdb.New(t)
	_, err := auditadmin.Distribute(t.Context(), connect(t, db, ""), auditadmin.DistributeConfig{})
	if !errors.Is(err, auditadmin.ErrNoCluster) || !strings.Contains(err.Error(), "CREATE EXTENSION citus") {
		t.Errorf("Distribute() = %v, want ErrNoCluster and what to do", err)
	}
	empty := testdb.NewEmpty(t)
	if _, err := auditadmin.Distribute(t.Context(), connect(t, empty, ""), auditadmin.DistributeConfig{}); !errors.Is(err, auditadmin.ErrNoTrail) {
		t.Errorf("Distribute() without a trail = %v, want ErrNoTrail", err)
	}
	if list := check(t, connect(t, db, "")); len(list) > 0 {
		t.Errorf("the schema differs afterwards: %v", list)
	}
}

func onCitus(t *testing.T) bool {
	t.Helper()
	db := testdb.NewEmpty(t)
	return text(t, db, "SELECT count(*)::text FROM pg_extension WHERE extname = 'citus'") == "1"
}

func text(t *testing.T, db *testdb.DB, sql string, args ...any) (value string) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	return value
}

// wantDistributed are the tables whose rows go to the workers.
func wantDistributed(moved int64, now bool) []auditadmin.DistributedTable {
	return []auditadmin.DistributedTable{
		{Name: "coordination_audit_records", Key: "audit_id", Shards: 6, Moved: 5 * moved, Now: now},
		{Name: "coordination_audit_gaps", Key: "gap_id", Shards: 6, Moved: moved, Now: now},
		{Name: "coordination_audit_statements", Key: "source_id", Shards: 6, Moved: moved, Now: now},
		{Name: "coordination_audit_seal_leaves", Key: "row_id", Shards: 6, Now: now},
	}
}

// everyRow is the content of a table, as a text.
const everyRow = "SELECT coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '') FROM %s AS t"

// As an ordinary role that owns the tables.
func TestDistributeKeepsRows(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	owner := newRole(t, db)
	execute(t, db, "ALTER ROLE "+owner+" LOGIN") // the coordinator logs in to the workers as the same role
	execute(t, db, insertRecord)
	giveTo(t, db, owner)
	before := map[string]string{}
	for _, table := range trailTables() {
		before[table] = text(t, db, fmt.Sprintf(everyRow, table))
	}
	conn := connectAs(t, db, owner)
	for _, want := range [][]auditadmin.DistributedTable{wantDistributed(1, true), wantDistributed(0, false)} {
		tables, err := auditadmin.Distribute(t.Context(), conn, auditadmin.DistributeConfig{Shards: 6})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tables); diff != "" {
			t.Errorf("Distribute() (-want +got):\n%s", diff)
		}
		for _, table := range trailTables() {
			if diff := cmp.Diff(before[table], text(t, db, fmt.Sprintf(everyRow, table))); diff != "" {
				t.Errorf("rows of %s (-before +after):\n%s", table, diff)
			}
		}
		for _, table := range trailTables()[:3] {
			if size := text(t, db, "SELECT pg_relation_size($1::text::regclass)::text", table); size != "0" {
				t.Errorf("%s keeps %s bytes of copies on the coordinator", table, size)
			}
		}
		if list := check(t, connect(t, db, "")); len(list) > 0 {
			t.Errorf("the schema differs afterwards: %v", list)
		}
	}
	execute(t, db, "INSERT INTO coordination_audit_seal_leaves (row_id, row_no, epoch, leaf_index, kind) VALUES (gen_random_uuid(), 0, 1, 0, 1)")
	for _, table := range append(trailTables()[:3], "coordination_audit_seal_leaves") {
		mustBeGuarded(t, db, table)
	}
}

// connectAs logs in as a role, as the workers see it.
func connectAs(t *testing.T, db *testdb.DB, role string) *pgx.Conn {
	t.Helper()
	config := db.Pool.Config().ConnConfig.Copy()
	config.User = role
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// mustBeGuarded tries to change a distributed table, and each of its shards on its worker.
func mustBeGuarded(t *testing.T, db *testdb.DB, table string) {
	t.Helper()
	column := map[string]string{"coordination_audit_records": "reason", "coordination_audit_gaps": "cause", "coordination_audit_statements": "label", "coordination_audit_seal_leaves": "leaf_index"}[table]
	for _, sql := range []string{"UPDATE " + table + " SET " + column + " = '7'", "DELETE FROM " + table, "TRUNCATE " + table} {
		_, err := db.Pool.Exec(t.Context(), sql)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23000" {
			t.Errorf("%s: %v, want a refusal (23000)", sql, err)
		}
	}
	unguarded := text(t, db, `
		SELECT count(*)::text
		FROM run_command_on_shards($1::text::regclass, $cmd$
			SELECT count(*) FROM pg_trigger WHERE tgrelid = '%s'::regclass AND NOT tgisinternal AND tgenabled = 'A'
		$cmd$)
		WHERE result <> '2' OR NOT success`, table)
	if unguarded != "0" {
		t.Errorf("%s shards of %s lack a trigger", unguarded, table)
	}
}

// migrate reverts the migrations above a version, and applies them again.
func migrate(t *testing.T, db *testdb.DB, above int64) {
	t.Helper()
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	_, err := migrator.DownTo(t.Context(), above)
	if err == nil {
		_, err = migrator.Up(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Every migration runs after the distribution, and what was dropped on the way is distributed again.
func TestMigratingADistributedTrail(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	migrate(t, db, 4)
	list := check(t, connect(t, db, ""))
	if len(list) != 3 || list[0].Severity != auditadmin.Notice || !strings.Contains(list[0].String(), "coordination_audit_gaps: on the coordinator only") ||
		!strings.Contains(list[1].String(), "coordination_audit_statements: on the coordinator only") || list[0].Repair != "migrate distribute" ||
		!strings.Contains(list[2].String(), "coordination_audit_seal_leaves: missing") || list[2].Repair != "migrate distribute" {
		t.Errorf("a trail that is partly distributed: %v, want three notices", list)
	}
	tables, err := auditadmin.Distribute(t.Context(), connect(t, db, ""), auditadmin.DistributeConfig{Shards: 6})
	if err != nil {
		t.Fatal(err)
	}
	if tables[0].Now || !tables[1].Now || !tables[2].Now || !tables[3].Now {
		t.Errorf("Distribute() = %+v, want the tables that were created again", tables)
	}
	if list := check(t, connect(t, db, "")); len(list) > 0 {
		t.Errorf("the schema differs afterwards: %v", list)
	}
	migrate(t, db, 0)
	if list := check(t, connect(t, db, "")); len(list) > 0 {
		t.Errorf("the schema differs afterwards: %v", list)
	}
}

// asDistributor executes what Citus refuses for a table with triggers.
func asDistributor(t *testing.T, db *testdb.DB, sql string) {
	t.Helper()
	if _, err := connect(t, db, "", "citus.enable_unsafe_triggers", "on").Exec(t.Context(), sql); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
}

// A table that another key distributes is named, and so is one that belongs on the coordinator.
func TestAnotherDistributionIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	asDistributor(t, db, "SELECT create_distributed_table('coordination_audit_statements', 'statement_no')")
	asDistributor(t, db, "SELECT create_reference_table('coordination_audit_seal_events')")
	asDistributor(t, db, "SELECT create_reference_table('coordination_audit_seal_tiles')")
	list := auditadmin.Errors(check(t, connect(t, db, "")))
	if len(list) != 3 || !strings.Contains(list[0].String(), "coordination_audit_statements: distributed by a hash of statement_no, want distributed by a hash of source_id") ||
		!strings.Contains(list[1].String(), "coordination_audit_seal_events: a reference table") || !strings.Contains(list[2].String(), "coordination_audit_seal_tiles: a reference table") {
		t.Fatalf("Check() = %v, want the three tables", list)
	}
	for _, d := range list[:2] { // which have an identity column
		if strings.Contains(d.Repair, "undistribute_table") || !strings.Contains(d.Repair, "docs/backup.md") {
			t.Errorf("repair of %s is %q, which Citus refuses", d.Object, d.Repair)
		}
	}
	execute(t, db, list[2].Repair)
	if list := auditadmin.Errors(check(t, connect(t, db, ""))); len(list) != 2 {
		t.Errorf("Check() = %v, want two tables after the repair of the third", list)
	}
	if _, err := auditadmin.Distribute(t.Context(), connect(t, db, ""), auditadmin.DistributeConfig{}); err == nil {
		t.Error("Distribute() accepted a schema that differs")
	}
}

// A trigger that a person dropped from a distributed table is made again, on every shard.
func TestRepairingADistributedTrail(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	execute(t, db, insertRecord)
	asDistributor(t, db, "DROP TRIGGER coordination_audit_refuse_update_delete ON coordination_audit_records")
	execute(t, db, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_reason_valid")
	execute(t, db, "DROP INDEX coordination_audit_seq_idx")
	if list := auditadmin.Errors(check(t, connect(t, db, ""))); len(list) == 0 {
		t.Fatal("nothing differs")
	}
	left, err := auditadmin.Repair(t.Context(), connect(t, db, ""), auditadmin.RepairConfig{})
	if err != nil || len(left) > 0 {
		t.Fatalf("Repair() = %v, %v", left, err)
	}
	mustBeGuarded(t, db, "coordination_audit_records")
}

// A role that could write before can write afterwards, and it still sets neither seq nor the time.
func TestDistributeKeepsTheRightsOfWriters(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	early, late := newRole(t, db), newRole(t, db)
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	grant := func(role string) {
		execute(t, db, "ALTER ROLE "+role+" LOGIN")
		grants, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Writers: []string{role}})
		if err != nil || len(grants.Statements) == 0 {
			t.Fatalf("%v, %v", grants, err)
		}
	}
	grant(early)
	if _, err := auditadmin.Distribute(t.Context(), connect(t, db, ""), auditadmin.DistributeConfig{}); err != nil {
		t.Fatal(err)
	}
	grant(late)
	for _, role := range []string{early, late} {
		conn := connectAs(t, db, role)
		const columns = "INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp"
		const values = "gen_random_uuid(), 'e', 'COST', 'APPLIED', 'r', now()"
		for range 8 { // on several shards
			if _, err := conn.Exec(t.Context(), columns+") VALUES ("+values+") ON CONFLICT (audit_id) DO NOTHING RETURNING seq"); err != nil {
				t.Fatalf("%s cannot write: %v", role, err)
			}
		}
		for _, forged := range []string{", seq) OVERRIDING SYSTEM VALUE VALUES (" + values + ", 7)", ", created_at) VALUES (" + values + ", '2020-01-01')"} {
			_, err := conn.Exec(t.Context(), columns+forged)
			if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "42501" {
				t.Errorf("%s set what is the database's: %v", forged, err)
			}
		}
	}
	if list := check(t, connect(t, db, "")); len(list) > 0 {
		t.Errorf("the schema differs afterwards: %v", list)
	}
}

// What cannot be checked while a worker is away is no matter of this role's rights.
func TestCheckFailsWhileAWorkerOfTheClusterIsAway(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	_, back := db.LoseWorker(t)
	list, err := auditadmin.Check(t.Context(), connect(t, db, ""))
	if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || !strings.HasPrefix(pgErr.Code, "08") {
		t.Errorf("Check() = %v, %v; want the lost connection to the worker", list, err)
	}
	back()
	if list := check(t, connect(t, db, "")); len(list) > 0 {
		t.Errorf("Check() afterwards = %v", list)
	}
}

// An adopted trail may have rows that break a CHECK, which is NOT VALID then. They are kept, and new
// rows must hold it.
func TestDistributeKeepsRowsThatBreakAnInvalidCheck(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	const constraint = "ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_reason_valid "
	const insert = `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
		VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', '', now())`
	definition := text(t, db, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'coordination_audit_reason_valid'`)
	execute(t, db, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_reason_valid")
	for range 20 { // on every shard
		execute(t, db, insert)
	}
	execute(t, db, constraint+definition+" NOT VALID")
	before := text(t, db, fmt.Sprintf(everyRow, "coordination_audit_records"))
	tables, err := auditadmin.Distribute(t.Context(), connect(t, db, ""), auditadmin.DistributeConfig{})
	if err != nil || tables[0].Moved != 20 {
		t.Fatalf("Distribute() = %+v, %v", tables, err)
	}
	if diff := cmp.Diff(before, text(t, db, fmt.Sprintf(everyRow, "coordination_audit_records"))); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if list := check(t, connect(t, db, "")); len(list) != 1 || list[0].Severity != auditadmin.Notice || !strings.Contains(list[0].String(), "NOT VALID") {
		t.Errorf("Check() = %v, want the constraint's notice", list)
	}
	for range 8 {
		_, err := db.Pool.Exec(t.Context(), insert)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23514" {
			t.Fatalf("a new row that breaks the CHECK: %v, want 23514", err)
		}
	}
	mustBeGuarded(t, db, "coordination_audit_records")
}
