// Package testdb gives each test a database of its own, cloned from a migrated template, so that tests
// run in parallel and leave nothing behind.
//
// The server is the one of COORDAUDIT_TEST_DATABASE_URL, whose role must be allowed to create
// databases. Without it, each test process starts a private server from installed programs. With
// COORDAUDIT_TEST_CITUS_URL it is a Citus cluster: see [ClusterVariable].
package testdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

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

	// Distributed: the trail is on the workers of a Citus cluster.
	Distributed bool
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

// NewOn returns a migrated database on a server that the test itself started, for tests that kill
// their server.
func NewOn(tb testing.TB, server *pglocal.Server) *DB {
	tb.Helper()
	return OnServer(server).New(tb)
}

// Copy returns a copy of a test's database as it is, with all its rows. The test may have no
// transaction open in it.
func Copy(tb testing.TB, of *DB) *DB {
	tb.Helper()
	host := shared(tb)
	if host.cluster {
		tb.Fatal("testdb: a database of a cluster cannot be copied")
	}
	of.Pool.Reset() // a database with sessions cannot be copied
	return forTest(tb, func(ctx context.Context) (*DB, func() error, error) {
		return host.copyOf(ctx, of.Pool.Config().ConnConfig.Database, true)
	})
}

// ForExample returns a migrated database for an Example function, which has no
// testing.TB. drop drops it.
func ForExample(ctx context.Context) (db *DB, drop func(), err error) {
	host, err := startShared()
	if err != nil {
		return nil, nil, err
	}
	return host.Clone(ctx)
}

// startShared starts the one server of this test process, which tests can share only in this way. The
// server runs until the process ends, which pglocal's watchdog notices.
var startShared = sync.OnceValues(func() (*Host, error) {
	if url := os.Getenv(ClusterVariable); url != "" {
		return &Host{url: url, cluster: true}, nil
	}
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

// Host is a server for test databases.
type Host struct {
	url string // of a database that can create others

	// server is kept because its watchdog ends a server that nothing refers to.
	server *pglocal.Server

	cluster bool // a Citus cluster, of which url is the coordinator's

	openOnce sync.Once
	address  *address
	owner    *owner // nil on a private server, which ends with its process
	openErr  error

	templateOnce sync.Once
	templateName string
	templateErr  error
}

// OnURL returns the server behind the URL (or keyword/value string) of a database that can create
// others. Nothing is written into that database itself.
func OnURL(adminURL string) *Host { return &Host{url: adminURL} }

// OnServer returns a private server, which runs as long as the host is used.
func OnServer(server *pglocal.Server) *Host { return &Host{url: server.URL(), server: server} }

// New returns a migrated database on this server for one test.
func (h *Host) New(tb testing.TB) *DB {
	tb.Helper()
	return forTest(tb, func(ctx context.Context) (*DB, func() error, error) { return h.clone(ctx, true) })
}

// NewEmpty returns a database without the schema on this server.
func (h *Host) NewEmpty(tb testing.TB) *DB {
	tb.Helper()
	return forTest(tb, func(ctx context.Context) (*DB, func() error, error) { return h.clone(ctx, false) })
}

// Clone returns a migrated database on this server that several tests share. drop drops it.
func (h *Host) Clone(ctx context.Context) (db *DB, drop func(), err error) {
	db, end, err := h.clone(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	return db, func() {
		if leak := end(); leak != nil {
			_, _ = fmt.Fprintln(os.Stderr, "testdb:", leak)
		}
	}, nil
}

// forTest makes a database that ends with the test.
func forTest(tb testing.TB, clone func(context.Context) (*DB, func() error, error)) *DB {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, drop, err := clone(ctx)
	if err != nil {
		tb.Fatalf("making a test database: %v", err)
	}
	tb.Cleanup(func() {
		if leak := drop(); leak != nil {
			tb.Errorf("%v", leak)
		}
	})
	return db
}

// open reads the address. It sweeps a server that others use too.
func (h *Host) open(ctx context.Context) error {
	h.openOnce.Do(func() {
		if h.address, h.openErr = parseAddress(h.url); h.openErr != nil || h.server != nil {
			return
		}
		h.owner = &owner{admin: h.address.admin}
		_, now, err := h.owner.claim(ctx)
		if err == nil { // else the caller gets the same error
			if h.cluster {
				h.sweepCluster(ctx, now)
			} else {
				sweep(ctx, h.address.admin, now)
			}
		}
	})
	return h.openErr
}
