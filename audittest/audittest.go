package audittest

import (
	"context"
	_ "embed"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// DB is one test's own database. It is dropped when the test ends.
type DB struct {
	// Pool connects as the database's owner. It is closed when the test ends. A
	// connection that was not released by then fails the test.
	Pool *pgxpool.Pool

	// URL connects as the database's owner, for services that open their own pool.
	URL string

	// Store uses Pool and logs to the test's output.
	Store *coordaudit.Store
}

// New returns a migrated database for this test alone. It is a clone of a database
// that was migrated once, made in a fraction of a second. Tests that use it may run in
// parallel. If no server is available, the test fails and says how to get one.
func New(tb testing.TB) *DB {
	tb.Helper()
	return forTest(tb, server(tb).New(tb))
}

//go:embed predecessor.sql
var predecessorSQL string

// Legacy returns a database as the predecessor left it. It has the predecessor's table
// with its indexes and its trigger, and twelve rows of every kind that the table
// accepted, but nothing of coordaudit's. Use it to test a deploy that adopts such a
// table. Store works once the migrations have run (auditmigrate, or migrate up on
// URL). Until then the database refuses its records.
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
