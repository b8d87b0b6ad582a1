package audittest

import (
	"context"
	_ "embed"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

// DB is one test's own database. It is dropped when the test ends.
type DB struct {
	// Pool is open as the database's owner. It is closed when the test ends.
	Pool *pgxpool.Pool

	// URL opens the database as its owner, for services that open their own pool.
	URL string

	// Store is on Pool and logs to the test's output.
	Store *coordaudit.Store
}

// New returns a migrated database of the test's own: a clone, made in a fraction of a
// second, of one that was migrated once. Tests that use it may run in parallel. Without any server
// the test fails and says how to get one.
func New(tb testing.TB) *DB {
	tb.Helper()
	return forTest(tb, server(tb).New(tb))
}

//go:embed predecessor.sql
var predecessorSQL string

// Legacy returns a database as the predecessor left it: its table with its indexes
// and its trigger, twelve rows of all the kinds that it let through, and nothing of
// coordaudit's. It is for testing a deploy that adopts such a table. Store is ready
// for use once the migrations have run (auditmigrate, or migrate up on URL); until then it
// is refused.
func Legacy(tb testing.TB) *DB {
	tb.Helper()
	db := forTest(tb, server(tb).NewEmpty(tb))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := db.Pool.Exec(ctx, predecessorSQL); err != nil {
		tb.Fatalf("making the predecessor's table: %v", err)
	}
	return db
}

func server(tb testing.TB) *testdb.Host {
	tb.Helper()
	host, err := startShared()
	if err != nil {
		tb.Fatalf("no PostgreSQL to test against: %v", err)
	}
	return host
}

func forTest(tb testing.TB, db *testdb.DB) *DB {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &DB{Pool: db.Pool, URL: db.URL, Store: coordaudit.New(db.Pool, coordaudit.Config{Logger: log})}
}
