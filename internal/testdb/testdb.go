// Package testdb gives each test a database of its own, cloned from a migrated
// template, so that tests run in parallel and leave nothing behind.
//
// The server is that of COORDAUDIT_TEST_DATABASE_URL, which must be allowed to
// create databases, or else a private one from installed programs, one for each
// test process.
package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

const urlVariable = "COORDAUDIT_TEST_DATABASE_URL"

// DB is a test's own database.
type DB struct {
	// URL opens the database as its owner.
	URL string

	// Pool is closed and the database is dropped when the test ends.
	Pool *pgxpool.Pool
}

// New returns a migrated database for one test.
func New(tb testing.TB) *DB {
	tb.Helper()
	return shared(tb).New(tb)
}

// NewEmpty returns a database without the schema.
func NewEmpty(tb testing.TB) *DB {
	tb.Helper()
	return shared(tb).NewEmpty(tb)
}

// NewOn returns a migrated database on a server that the test itself started,
// for tests that kill their server.
func NewOn(tb testing.TB, server *pglocal.Server) *DB {
	tb.Helper()
	return OnServer(server).New(tb)
}

// ForExample returns a migrated database for an Example function, which has no
// testing.TB. drop ends it.
func ForExample(ctx context.Context) (db *DB, drop func(), err error) {
	host, err := startShared()
	if err != nil {
		return nil, nil, err
	}
	return host.clone(ctx, true)
}

// startShared is the one server of this test process: a test has no other way to
// share it with tests that it does not know. Nothing stops it but the process's
// end, which pglocal's watchdog sees.
var startShared = sync.OnceValues(func() (*Host, error) {
	if url := os.Getenv(urlVariable); url != "" {
		return OnURL(url), nil
	}
	server, err := pglocal.Start(context.Background(), pglocal.Config{})
	if err != nil {
		return nil, err
	}
	return OnServer(server), nil
})

func shared(tb testing.TB) *Host {
	tb.Helper()
	host, err := startShared()
	if errors.Is(err, pglocal.ErrNoPrograms) && testing.Short() {
		tb.Skip("needs a PostgreSQL server, and -short was given")
	}
	if err != nil {
		tb.Fatalf("no PostgreSQL to test against: %v", err)
	}
	return host
}

// Host is a server on which test databases are made.
type Host struct {
	admin string // the URL of a database to create others from

	// server is kept because a server that nothing refers to is ended by its watchdog.
	server *pglocal.Server

	templateOnce sync.Once
	templateName string
	templateErr  error
}

// OnURL is the server behind the URL of a database from which others may be created.
func OnURL(adminURL string) *Host { return &Host{admin: adminURL} }

// OnServer is a private server, kept as long as the host is.
func OnServer(server *pglocal.Server) *Host { return &Host{admin: server.URL(), server: server} }

// New returns a migrated database on this server for one test.
func (h *Host) New(tb testing.TB) *DB {
	tb.Helper()
	return h.forTest(tb, true)
}

// NewEmpty returns a database without the schema on this server.
func (h *Host) NewEmpty(tb testing.TB) *DB {
	tb.Helper()
	return h.forTest(tb, false)
}

// Clone returns a migrated database on this server that several tests share. drop
// ends it.
func (h *Host) Clone(ctx context.Context) (db *DB, drop func(), err error) {
	return h.clone(ctx, true)
}

func (h *Host) forTest(tb testing.TB, migrated bool) *DB {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, drop, err := h.clone(ctx, migrated)
	if err != nil {
		tb.Fatalf("making a test database: %v", err)
	}
	tb.Cleanup(drop)
	return db
}

func (h *Host) clone(ctx context.Context, migrated bool) (db *DB, drop func(), err error) {
	name := "coordaudit_test_" + strings.ToLower(rand.Text()[:12])
	create := "CREATE DATABASE " + name
	if migrated {
		template, err := h.template(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("making the template: %w", err)
		}
		create += " TEMPLATE " + template
	}
	if err := h.exec(ctx, create); err != nil {
		return nil, nil, fmt.Errorf("creating database %s: %w", name, err)
	}
	url, err := withDatabase(h.admin, name)
	if err != nil {
		return nil, nil, err
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, nil, fmt.Errorf("opening database %s: %w", name, err)
	}
	drop = func() {
		pool.Close()
		// A server that a test has killed takes its databases with it.
		_ = h.exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	return &DB{URL: url, Pool: pool}, drop, nil
}

// exec runs one statement on a connection of its own: CREATE DATABASE goes with
// no transaction and no company.
func (h *Host) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, h.admin)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// withDatabase is the URL with another database's name.
func withDatabase(url, name string) (string, error) {
	head, query, _ := strings.Cut(url, "?")
	slash := strings.LastIndexByte(head, '/')
	if !strings.HasPrefix(url, "postgres") || slash < len("postgres://") {
		return "", fmt.Errorf("%s must be a postgres:// URL with a database", urlVariable)
	}
	return head[:slash+1] + name + "?" + query, nil
}
