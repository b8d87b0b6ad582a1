package auditmigrate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

const (
	createName  = "00001_create_coordination_audit_records"
	indexName   = "00002_index_coordination_audit_records"
	contextName = "00003_add_decision_context"
	readName    = "00004_index_the_read_side"
	gapsName    = "00005_create_coordination_audit_gaps"

	newest = 5
)

// migrationNames are all migrations, by their versions: 1 to newest.
func migrationNames() []string {
	return []string{createName, indexName, contextName, readName, gapsName}
}

// changesUp is what applying the versions first to last comes to.
func changesUp(first, last int64) []auditmigrate.Change {
	var changes []auditmigrate.Change
	for version := first; version <= last; version++ {
		changes = append(changes, auditmigrate.Change{Version: version, Name: migrationNames()[version-1], Direction: auditmigrate.DirectionUp})
	}
	return changes
}

// changesDown is what reverting the versions first to last, the newest first, comes to.
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

// texts returns a query's one column.
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

// versions returns what the version table says, in the order of its rows.
func versions(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return texts(t, pool, "SELECT version_id::text || ' ' || is_applied FROM "+auditmigrate.VersionTable+" ORDER BY id")
}

// catalog describes everything that the migrations make.
func catalog(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return texts(t, pool, `
		SELECT concat_ws(' ', attrelid::regclass, 'column', attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid))
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
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

// logBook keeps what is logged. It is read after the call that logs.
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

// eventually waits until a query that yields a boolean yields true.
func eventually(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		var ok bool
		if err := pool.QueryRow(ctx, sql).Scan(&ok); err != nil {
			t.Fatalf("%v; never true: %s", err, sql)
		}
		if ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// migrationWaits: a statement of a migration waits for what others hold. Waiting
// for another migrating process is no wait in the server.
const migrationWaits = `SELECT EXISTS (
	SELECT FROM pg_stat_activity
	WHERE datname = current_database() AND application_name = 'coordaudit-migrate' AND wait_event_type = 'Lock')`

const migrationLockIsHeld = `SELECT EXISTS (
	SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
	WHERE locktype = 'advisory' AND granted AND datname = current_database())`
