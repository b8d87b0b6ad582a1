package testdb

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// Pair is a primary server with a standby.
type Pair struct {
	Primary, Standby *pglocal.Server
}

// StartPair starts a migrated primary with a standby that streams from it. The test is skipped
// where [Durable] would skip it.
func StartPair(tb testing.TB, synchronous bool) *Pair {
	tb.Helper()
	_, err := pglocal.Find()
	if errors.Is(err, pglocal.ErrNoPrograms) && os.Getenv(urlVariable) != "" {
		tb.Skip("needs installed PostgreSQL programs: servers of its own")
	}
	primary, err := pglocal.Start(tb.Context(), pglocal.Config{Durable: true, Settings: pglocal.Replicating()})
	if err != nil {
		tb.Fatal(err)
	}
	stopAtEnd(tb, primary)
	migrator, err := auditmigrate.Open(primary.URL(), auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := migrator.Up(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	p := &Pair{Primary: primary}
	p.AddStandby(tb, synchronous)
	return p
}

func stopAtEnd(tb testing.TB, server *pglocal.Server) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := server.Stop(); err != nil {
			tb.Error(err)
		}
	})
}

// AddStandby starts a standby of the primary and waits until it streams.
func (p *Pair) AddStandby(tb testing.TB, synchronous bool) {
	tb.Helper()
	// The standby of a promoted standby takes over the settings of neither.
	standby, err := p.Primary.StartStandby(tb.Context(), pglocal.Config{Durable: true})
	if err != nil {
		tb.Fatal(err)
	}
	stopAtEnd(tb, standby)
	p.Standby = standby
	state := "async"
	if synchronous {
		state = "sync"
		if err := p.Primary.Reconfigure("synchronous_standby_names", "standby"); err != nil {
			tb.Fatal(err)
		}
	}
	p.Await(tb, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = $1", state)
}

// Await runs a query on the primary until its number is not zero.
func (p *Pair) Await(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.Primary.URL())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for n := 0; n == 0; {
		if err := conn.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			tb.Fatalf("%s: %v", sql, err)
		}
	}
}

// FailOver kills the primary and promotes the standby, which becomes the primary.
func (p *Pair) FailOver(tb testing.TB) {
	tb.Helper()
	if err := errors.Join(p.Primary.Kill(), p.Standby.Thaw(), p.Standby.Promote(tb.Context()), p.Primary.Stop()); err != nil {
		tb.Fatal(err)
	}
	p.Primary, p.Standby = p.Standby, nil
}

// URLOfBoth returns a URL that finds the one of both servers that accepts writes.
func (p *Pair) URLOfBoth() string {
	_, first, _ := strings.Cut(p.Primary.URL(), "?host=")
	_, second, _ := strings.Cut(p.Standby.URL(), "?host=")
	host := func(rest string) string { before, _, _ := strings.Cut(rest, "&"); return before }
	return "postgres:///postgres?host=" + host(first) + "," + host(second) +
		"&port=5432,5432&user=postgres&sslmode=disable&target_session_attrs=read-write"
}

// Open opens a pool on the primary, closed when the test ends.
func (p *Pair) Open(tb testing.TB) *pgxpool.Pool {
	tb.Helper()
	pool, err := pgxpool.New(tb.Context(), p.Primary.URL())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}
