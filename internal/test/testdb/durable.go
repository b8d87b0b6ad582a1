package testdb

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// Durable starts a server of the test's own that keeps what it acknowledges, so that the test
// can kill or measure it. Use it with [NewOn]. The test is skipped where no programs are
// installed and the tests run on a given server.
func Durable(tb testing.TB) *pglocal.Server {
	tb.Helper()
	if _, err := pglocal.Find(); errors.Is(err, pglocal.ErrNoPrograms) && os.Getenv(urlVariable) != "" {
		tb.Skip("needs installed PostgreSQL programs: a server of its own")
	}
	server, err := pglocal.Start(context.Background(), pglocal.Config{Durable: true})
	if err != nil {
		tb.Fatal(err)
	}
	stopAtEnd(tb, server)
	return server
}
