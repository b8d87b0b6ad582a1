package auditmigrate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	createName     = "00001_create_coordination_audit_records"
	indexName      = "00002_index_coordination_audit_records"
	contextName    = "00003_add_decision_context"
	readName       = "00004_index_the_read_side"
	gapsName       = "00005_create_coordination_audit_gaps"
	originName     = "00006_add_decision_origin"
	linksName      = "00007_index_the_links"
	statementsName = "00008_create_coordination_audit_statements"
	orderName      = "00009_index_the_order"
	sealsName      = "00010_create_coordination_audit_seals"
	retentionName  = "00011_create_retention_functions"

	newest = 11
)

// migrationNames lists all migrations by version, from 1 to newest.
func migrationNames() []string {
	return []string{createName, indexName, contextName, readName, gapsName, originName, linksName, statementsName, orderName, sealsName, retentionName}
}

// changesUp returns the changes of applying the versions first to last.
func changesUp(first, last int64) []auditmigrate.Change {
	var changes []auditmigrate.Change
	for version := first; version <= last; version++ {
		changes = append(changes, auditmigrate.Change{Version: version, Name: migrationNames()[version-1], Direction: auditmigrate.DirectionUp})
	}
	return changes
}

// changesDown returns the changes of reverting the versions first to last, newest
// first.
func changesDown(first, last int64) []auditmigrate.Change {
	changes := changesUp(last, first)
	slices.Reverse(changes)
	for i := range changes {
		changes[i].Direction = auditmigrate.DirectionDown
	}
	return changes
}

func quiet() auditmigrate.Config {
	return auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, url string, config auditmigrate.Config) *auditmigrate.Migrator {
	t.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	migrator, err := auditmigrate.Open(url, config)
	if err != nil {
		t.Fatal(err)
	}
	return migrator
}

// up brings a database to the newest version.
func up(t *testing.T, db *testdb.DB) {
	t.Helper()
	if _, err := open(t, db.URL, quiet()).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// upTo brings a database to a version.
func upTo(t *testing.T, db *testdb.DB, version int64) {
	t.Helper()
	if _, err := open(t, db.URL, quiet()).UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%v in %.200s", err, sql)
	}
}

// texts returns the only column of a query.
func texts(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	return list
}

// predecessor returns a database with the predecessor's table and 1,000 rows.
func predecessor(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.NewEmpty(t)
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	execute(t, db.Pool, string(sql))
	return db
}

const insertRecord = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
	VALUES (gen_random_uuid(), 'envelope', 'UNKNOWN', 'APPLIED', 'a reason', now())`

// versions returns the rows of the version table, in order.
func versions(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return texts(t, pool, "SELECT version_id::text || ' ' || is_applied FROM "+auditmigrate.VersionTable+" ORDER BY id")
}

// wantVersions is what versions returns at the newest version.
func wantVersions() []string {
	list := []string{"0 true"}
	for version := 1; version <= newest; version++ {
		list = append(list, strconv.Itoa(version)+" true")
	}
	return list
}

// catalog describes everything that the migrations create. A column that was dropped and
// added again has the same place.
func catalog(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return texts(t, pool, `
		SELECT concat_ws(' ', attrelid::regclass, 'column', (SELECT count(*) FROM pg_attribute AS b WHERE b.attrelid = a.attrelid AND b.attnum BETWEEN 1 AND a.attnum AND NOT b.attisdropped), attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid))
		FROM pg_attribute AS a LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')) AND attnum > 0 AND NOT attisdropped
		UNION ALL
		SELECT concat_ws(' ', conrelid::regclass, 'constraint', conname, pg_get_constraintdef(oid), convalidated)
		FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL
		SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid, indisready)
		FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace
		UNION ALL
		SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL
		SELECT concat_ws(' ', 'function', pg_get_functiondef(oid)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
		UNION ALL
		SELECT concat_ws(' ', 'relation', relkind, relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
		ORDER BY 1`)
}

// logBook keeps log records. Tests read it after the call that logs.
type logBook struct{ bytes.Buffer }

func (b *logBook) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(&b.Buffer, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type logLine struct {
	Level, Msg, Name, Message string
}

func (b *logBook) lines(t *testing.T, level slog.Level) []logLine {
	t.Helper()
	var lines []logLine
	for decoder := json.NewDecoder(bytes.NewReader(b.Bytes())); decoder.More(); {
		var line logLine
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Level == level.String() {
			lines = append(lines, line)
		}
	}
	return lines
}

// inTransaction runs SQL in a transaction that stays open until the test ends or
// release is called.
func inTransaction(t *testing.T, pool *pgxpool.Pool, sql string) (release func()) {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	release = func() { _ = tx.Rollback(context.Background()) }
	t.Cleanup(release)
	return release
}

// eventually waits until a query for a boolean returns true.
func eventually(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	fixture.EventuallyTrue(t, pool, 20*time.Second, sql)
}

// migrationWaits finds a statement of a migration that waits for another session's
// lock. A wait for another migrating process does not show in the server.
const migrationWaits = `SELECT EXISTS (
	SELECT FROM pg_stat_activity
	WHERE datname = current_database() AND application_name = 'coordaudit-migrate' AND wait_event_type = 'Lock')`

const migrationLockIsHeld = `SELECT EXISTS (
	SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
	WHERE locktype = 'advisory' AND granted AND datname = current_database())`

// requireRefusedBy requires that a CHECK has refused a row, or that it is stored if the name
// of the CHECK is empty.
func requireRefusedBy(t *testing.T, row string, err error, check string) {
	t.Helper()
	if check == "" {
		if err != nil {
			t.Errorf("%s: %v, want it stored", row, err)
		}
		return
	}
	if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23514" || pgErr.ConstraintName != check {
		t.Errorf("%s: %v, want it refused by %s", row, err, check)
	}
}

// requireAdopted requires that up brings a trail back that has lost its version table and was
// harmed, with the rows of one table as they were.
func requireAdopted(t *testing.T, insert, wholeRows string, harms ...string) {
	t.Helper()
	db := testdb.New(t)
	whole := catalog(t, db.Pool)
	execute(t, db.Pool, insert)
	rows := texts(t, db.Pool, wholeRows)
	execute(t, db.Pool, "DROP TABLE "+auditmigrate.VersionTable)
	for _, harm := range harms {
		execute(t, db.Pool, harm)
	}
	up(t, db)
	if diff := cmp.Diff(whole, catalog(t, db.Pool)); diff != "" {
		t.Errorf("catalog (-made +adopted):\n%s", diff)
	}
	if diff := cmp.Diff(rows, texts(t, db.Pool, wholeRows)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}
