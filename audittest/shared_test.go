//go:build unix

package audittest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audittest"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

const sharedVariable = "COORDAUDIT_AUDITTEST_SHARED"

// TestSharedChild is the test of a child process that ends as its variable says.
func TestSharedChild(t *testing.T) { //nolint:paralleltest // it is a process of its own
	end := os.Getenv(sharedVariable)
	if end == "" {
		t.Skip("run by the other tests")
	}
	db := audittest.New(t)
	audittest.RequireNoRecords(t, t.Context(), db.Pool)
	switch end {
	case "exits":
		os.Exit(0)
	case "leaks":
		if _, err := db.Pool.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Fatal("the failure to be seen")
	}
}

// sharedServer is a private server that stands for a shared one.
func sharedServer(t *testing.T) *pglocal.Server {
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

// onShared runs a test process on a server, and returns its output.
func onShared(t *testing.T, url, end string) (said string, err error) {
	t.Helper()
	cmd := child(t, "", sharedVariable+"="+end, "COORDAUDIT_TEST_DATABASE_URL="+url)
	cmd.Args[1] = "-test.run=^TestSharedChild$"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func testDatabases(t *testing.T, url string) (names []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), "SELECT datname::text FROM pg_database WHERE starts_with(datname, 'coordaudit_test_')")
	if err != nil {
		t.Fatal(err)
	}
	if names, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestLeftDatabasesAreSwept(t *testing.T) {
	t.Parallel()
	server := sharedServer(t)
	if out, err := onShared(t, server.URL(), "exits"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left := testDatabases(t, server.URL())
	if len(left) != 1 {
		t.Fatalf("test databases %q, want the one that os.Exit has left: the test shows nothing", left)
	}
	eventually(t, func() bool { // the server notices the end of the process a moment later
		if out, err := onShared(t, server.URL(), "passes"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return len(testDatabases(t, server.URL())) == 0
	})
}

func TestConcurrentProcesses(t *testing.T) {
	t.Parallel()
	server := sharedServer(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2 {
				if out, err := onShared(t, server.URL(), "passes"); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	all.Wait()
	if left := testDatabases(t, server.URL()); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestLeakedTransaction(t *testing.T) {
	t.Parallel()
	server := sharedServer(t)
	start := time.Now()
	out, err := onShared(t, server.URL(), "leaks")
	if err == nil || time.Since(start) > time.Minute {
		t.Errorf("it ended with %v after %v", err, time.Since(start))
	}
	for _, want := range []string{"the failure to be seen", "1 connections were not given back", "idle in transaction"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in: %s", want, out)
		}
	}
	if left := testDatabases(t, server.URL()); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}
