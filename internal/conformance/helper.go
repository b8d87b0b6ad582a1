package conformance

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/databaseurl"
)

// newStore returns a quiet store on the database's own pool.
func newStore(db Database) *coordaudit.Store {
	return coordaudit.New(db.Pool, quiet())
}

func quiet() coordaudit.Config {
	return coordaudit.Config{Logger: slog.New(slog.DiscardHandler)}
}

// openStore returns a quiet store with a pool of its own, closed when the test ends.
func openStore(t *testing.T, url string, config coordaudit.Config) *coordaudit.Store {
	t.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	store, err := coordaudit.Open(t.Context(), url, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func newRecord() audit.Record {
	return audit.Record{
		AuditID:              uuid.New(),
		EnvelopeID:           "retry-backoff-7",
		EnvelopeClass:        audit.Reliability,
		Decision:             audit.Applied,
		Reason:               "applied, nothing stood in its way",
		DecisionTimestamp:    time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC),
		ActiveEnvelopesCount: 1,
		TenantID:             "acme",
	}
}

func newRecords(n int) []audit.Record {
	recs := make([]audit.Record, n)
	for i := range recs {
		recs[i] = newRecord()
	}
	return recs
}

func mustPersist(t *testing.T, store *coordaudit.Store, rec audit.Record) audit.Receipt {
	t.Helper()
	receipt, err := store.Persist(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// countRecords counts all rows of the trail, read past the store.
func countRecords(t *testing.T, pool *pgxpool.Pool) int {
	t.Helper()
	return queryInt(t, pool, "SELECT count(*) FROM coordination_audit_records")
}

func queryInt(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var n int
	if err := pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func mustExec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// execModes are all ways in which pgx can send a statement; a caller's pool may
// be set to any of them.
func execModes() []pgx.QueryExecMode {
	return []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
}

// poolInMode returns, beside the database's own pool, one that sends in a mode.
func poolInMode(t *testing.T, db Database, mode pgx.QueryExecMode) *pgxpool.Pool {
	t.Helper()
	return openPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.DefaultQueryExecMode = mode
		config.MaxConns = 1 // one connection, so that each use but the first meets a used one
	})
}

// openPool returns a pool of the test's own, closed when the test ends.
func openPool(t *testing.T, databaseURL string, set func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := databaseurl.Parse(databaseURL, pgxpool.ParseConfig)
	if err != nil {
		t.Fatal(err)
	}
	set(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// withSetting is the URL with one more setting, name=value.
func withSetting(databaseURL, setting string) string {
	if strings.Contains(databaseURL, "?") {
		return databaseURL + "&" + setting
	}
	return databaseURL + "?" + setting
}

// callersTx begins a transaction in which the caller has written a row already.
func callersTx(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	mustExec(t, pool, "CREATE TABLE IF NOT EXISTS callers_rows (n int)")
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	return tx
}

func commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (2)"); err != nil {
		t.Fatalf("the caller's transaction was broken: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatalf("the caller's commit: %v", err)
	}
}

// lockTable holds the trail's table against everyone until it is released or the
// test ends.
func lockTable(t *testing.T, db Database) (release func()) {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _ = tx.Rollback(context.Background()) }
	t.Cleanup(release)
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return release
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	eventuallyWithin(t, 10*time.Second, holds)
}

func eventuallyWithin(t *testing.T, limit time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain", limit)
		}
	}
}
