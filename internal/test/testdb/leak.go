package testdb

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// closeTimeout is how long a pool may wait for connections that a test's
	// goroutines still hold.
	closeTimeout = 10 * time.Second

	askTimeout = 5 * time.Second
)

// ClosePool closes a pool on a test's own database when the test ends. A connection that was never
// released would block the close forever and hide the test's own failure. So the test fails after
// closeTimeout, with the names of the sessions.
func ClosePool(tb testing.TB, pool *pgxpool.Pool) {
	tb.Helper()
	if leak := closePool(pool, closeTimeout); leak != nil {
		tb.Errorf("%v", leak)
	}
}

// closePool leaves the pool to a goroutine that ends when all connections are released. pgx cannot
// take them back by force.
func closePool(pool *pgxpool.Pool, timeout time.Duration) error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		pool.Close()
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-closed:
		return nil
	case <-timer.C:
	}
	config := pool.Config().ConnConfig
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	sessions := "its sessions could not be asked for"
	if conn, err := pgx.ConnectConfig(ctx, withoutTracer(config)); err == nil {
		if named, err := sessionsOf(ctx, conn, config.Database); err == nil {
			sessions = "still open:" + named
		}
		_ = conn.Close(ctx)
	}
	return fmt.Errorf("closing the test's pool: %d connections were not given back within %v: "+
		"commit or roll back each transaction, close each Rows, release each connection, also where a test ends early (defer); %s",
		pool.Stat().AcquiredConns(), timeout, sessions)
}

// withoutTracer keeps our own query from the test's tracer, which may count or spoil queries.
func withoutTracer(config *pgx.ConnConfig) *pgx.ConnConfig {
	config = config.Copy()
	config.Tracer = nil
	return config
}

// sessionsOf describes the other sessions in a database, one a line.
func sessionsOf(ctx context.Context, conn *pgx.Conn, database string) (string, error) {
	const sql = `SELECT pid, coalesce(application_name, ''), coalesce(state, 'state unknown'), coalesce(extract(epoch FROM now() - xact_start)::float8, 0), coalesce(query, '')
		FROM pg_stat_activity
		WHERE datname = $1 AND pid <> pg_backend_pid()
		ORDER BY xact_start NULLS LAST, pid
		LIMIT 20`
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeExec, database)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var (
			pid                       int32
			application, state, query string
			seconds                   float64
		)
		err := row.Scan(&pid, &application, &state, &seconds, &query)
		line := fmt.Sprintf("\n  process %d, application %q, %s", pid, application, state)
		if seconds > 0 {
			line += fmt.Sprintf(" for %.1f s", seconds)
		}
		return line + fmt.Sprintf(", last statement %q", clip(query)), err
	})
	if len(lines) == 0 {
		return " none", err
	}
	return strings.Join(lines, ""), err
}

func clip(sql string) string {
	const most = 200
	runes := []rune(strings.Join(strings.Fields(sql), " "))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}
