package testdb

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// Two test processes use a shared server through different maintenance databases.
func TestSweepDropsLeftoversOnly(t *testing.T) {
	t.Parallel()
	server := startPrivate(t)
	exec(t, server.URL(), "CREATE DATABASE maintenance")
	mine, theirs := ownerOn(t, server.URL()), ownerOn(t, server.DatabaseURL("maintenance"))
	gone := ownerOn(t, server.DatabaseURL("maintenance"))
	nameOf := func(o *owner) string {
		t.Helper()
		key, now, err := o.claim(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return newName(key, now)
	}
	now := time.Now()
	kept := []string{
		nameOf(mine), nameOf(theirs),
		newName(0, now.Add(-oldAge/2)),                // behind a pooler, made today
		"coordaudit_test_results", "coordaudit_test_", // of someone else
		"coordaudit_test_abc_def_1_ABCDEFGH", // not of this form
		"coordaudit_template_0123456789ab",   // kept for the next run
		"coordaudit_testing", "prod",
	}
	busy := nameOf(gone)
	swept := []string{nameOf(gone), nameOf(gone), newName(0, now.Add(-2*oldAge))}
	for _, name := range append(append([]string{busy}, kept...), swept...) {
		exec(t, server.URL(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	}
	inside := connect(t, server.DatabaseURL(busy))
	before := mustList(t, server.URL())
	if err := gone.conn.Close(t.Context()); err != nil { // as the kernel does for a killed process
		t.Fatal(err)
	}
	waitForLocks(t, server.URL(), 2)

	sweep(t.Context(), mine.admin, now)
	want := without(before, swept...)
	if diff := cmp.Diff(want, mustList(t, server.URL())); diff != "" {
		t.Errorf("databases (-want +got):\n%s", diff)
	}
	if err := inside.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	sweep(t.Context(), theirs.admin, now)
	if diff := cmp.Diff(without(want, busy), mustList(t, server.URL())); diff != "" {
		t.Errorf("databases, once no session uses the last one (-want +got):\n%s", diff)
	}
}

func TestOwnerLocksAgainAfterRestart(t *testing.T) {
	t.Parallel()
	server := startPrivate(t)
	o := ownerOn(t, server.URL())
	key, _, err := o.claim(t.Context())
	if err != nil || key == 0 {
		t.Fatal(key, err)
	}
	if err := server.ShutDown(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, _, err := o.claim(t.Context())
	if err != nil || again != key {
		t.Errorf("key %d, %v, want %d", again, err, key)
	}
	waitForLocks(t, server.URL(), 1)
}

func ownerOn(t *testing.T, url string) *owner {
	t.Helper()
	address, err := parseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	o := &owner{admin: address.admin}
	t.Cleanup(func() {
		if o.conn != nil {
			_ = o.conn.Close(t.Context())
		}
	})
	return o
}

func mustList(t *testing.T, url string) (names []string) {
	t.Helper()
	rows, err := connect(t, url).Query(t.Context(), "SELECT datname::text FROM pg_database ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	if names, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	return names
}

func without(names []string, some ...string) (others []string) {
	out := map[string]bool{}
	for _, name := range some {
		out[name] = true
	}
	for _, name := range names {
		if !out[name] {
			others = append(others, name)
		}
	}
	return others
}

func waitForLocks(t *testing.T, url string, want int) {
	t.Helper()
	conn := connect(t, url)
	for got := -1; got != want; {
		if err := conn.QueryRow(t.Context(), "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'").Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
}
