package testdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

func startPrivate(t *testing.T) *pglocal.Server {
	t.Helper()
	server, err := pglocal.Start(t.Context(), pglocal.Config{})
	if errors.Is(err, pglocal.ErrNoPrograms) {
		t.Skip("needs installed PostgreSQL programs: a server of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

func TestLeakedTransactionIsNamed(t *testing.T) {
	t.Parallel()
	host := OnServer(startPrivate(t))
	test := &endingTest{TB: t}
	db := host.NewEmpty(test)
	config := db.Pool.Config()
	config.ConnConfig.RuntimeParams["application_name"] = "the leaking service"
	leaking, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaking.Exec(t.Context(), "SELECT 'the statement that leaks'"); err != nil {
		t.Fatal(err)
	}

	start := time.Now()
	test.end()
	if took := time.Since(start); took < closeTimeout {
		t.Errorf("it ended after %v, a slow test has %v to give its connections back", took, closeTimeout)
	}
	for _, want := range []string{"1 connections were not given back", "idle in transaction for", "SELECT 'the statement that leaks'", "roll back each transaction"} {
		if !strings.Contains(test.failed, want) {
			t.Errorf("%q is not in: %s", want, test.failed)
		}
	}
	if n := ask[int](t, host.url, "SELECT count(*)::int FROM pg_database WHERE datname = $1", config.ConnConfig.Database); n != 0 {
		t.Error("the database is left behind")
	}
}

func TestLateReleaseIsNoLeak(t *testing.T) {
	t.Parallel()
	test := &endingTest{TB: t}
	db := OnServer(startPrivate(t)).NewEmpty(test)
	conn, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		_, _ = conn.Exec(context.WithoutCancel(t.Context()), "SELECT pg_sleep(0.5)")
		conn.Release()
	}()
	test.end()
	<-released
	if test.failed != "" {
		t.Error(test.failed)
	}
}

// endingTest is a test that a caller can end.
type endingTest struct {
	testing.TB
	cleanups []func()
	failed   string
}

func (e *endingTest) Cleanup(f func())                  { e.cleanups = append(e.cleanups, f) }
func (e *endingTest) Errorf(format string, args ...any) { e.failed += fmt.Sprintf(format, args...) }

func (e *endingTest) end() {
	for _, cleanup := range slices.Backward(e.cleanups) {
		cleanup()
	}
}

func TestUsedTemplateIsNamed(t *testing.T) {
	t.Parallel()
	server := startPrivate(t)
	host := OnServer(server)
	template, err := host.openTemplate(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	looking := connect(t, server.DatabaseURL(template)+"&application_name=looking")
	_, _, err = host.Clone(t.Context())
	for _, want := range []string{"(SQLSTATE 55006)", template, `application "looking"`, "pg_terminate_backend"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}

	done := make(chan error, 1)
	go func() {
		_, drop, err := host.Clone(t.Context())
		if err == nil {
			drop()
		}
		done <- err
	}()
	watching := connect(t, server.URL())
	for waiting := false; !waiting; {
		const sql = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE 'CREATE DATABASE %')"
		if err := watching.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if err := looking.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("no one reads it any more, and yet: %v", err)
	}
}

func (h *Host) openTemplate(ctx context.Context) (string, error) {
	if err := h.open(ctx); err != nil {
		return "", err
	}
	return h.template(ctx)
}
