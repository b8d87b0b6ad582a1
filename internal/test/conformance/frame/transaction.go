package frame

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// WaitForWaiter returns when a statement waits for the locked table.
func WaitForWaiter(t *testing.T, db Database) {
	t.Helper()
	fixture.Eventually(t, func() bool { return CountWaiting(t, db) > 0 })
}

// CountWaiting counts the statements that wait for the locked table.
func CountWaiting(t *testing.T, db Database) int {
	t.Helper()
	return fixture.QueryInt(t, db.Admin, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'coordination_audit_records'::regclass"+
		" AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
}

// CallersTx begins a transaction and writes the caller's first row in it.
func CallersTx(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	t.Helper()
	fixture.MustExec(t, pool, "CREATE TABLE IF NOT EXISTS callers_rows (n int)")
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

// Commit writes the caller's second row and commits.
func Commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (2)"); err != nil {
		t.Fatalf("the caller's transaction was broken: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatalf("the caller's commit: %v", err)
	}
}

// LockTable locks the trail's main table against every other session until release is called
// or the test ends.
func LockTable(t *testing.T, db Database) (release func()) {
	t.Helper()
	tx, err := db.Admin.Begin(t.Context())
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
