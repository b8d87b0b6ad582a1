package coordaudit

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	got := run(t, "", "", "demo")
	got.mustExit(t, cli.ExitDone)
	all := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if len(all) > 45 {
		t.Errorf("%d lines, at most 45 are allowed:\n%s", len(all), got.stdout)
	}
	for _, text := range all {
		if utf8.RuneCountInString(text) > term.DefaultColumns || strings.TrimRight(text, " ") != text {
			t.Errorf("longer than %d characters, or blanks at its end: %q", term.DefaultColumns, text)
		}
	}
	mustContain(t, got.stdout,
		"private and temporary",
		"09:00:28  globex  PERFORMANCE  turbo-cache-1    PREEMPTED  cache.ttl goes to cache-guard-4 (SAFETY)\n",
		"09:01:10  acme    (kill switch on: no decision, no record)\n",
		"Read back from the database: 8 APPLIED, 4 REJECTED, 1 PREEMPTED\n",
		"13 already persisted, 0 stored twice, 13 rows in the table\n",
		"UPDATE, DELETE, TRUNCATE:    refused by 2 triggers, even for the table's owner",
		"Their reason codes:          PARAMETER_FREE=6, SAME_PARAMETER=2, ",
		"Their links:                 13 records of 12 actions, 3 with the record that caused it\n",
		"Edited past the triggers:    one space in one of 13 sealed rows; verify finds\n                             EDITED record ",
		"README.md", "examples/coordinator")
	if strings.Count(got.stdout, "EDITED") != 1 {
		t.Errorf("more than the edited record is found:\n%s", got.stdout)
	}
	if got.stderr != "" || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("colours without a terminal, or stderr: %q\n%q", got.stderr, got.stdout)
	}
}

func TestDemoOnAServer(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	got := run(t, "", "", "demo", "--database-url", db.URL)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "in a scratch database: coordaudit_demo_", "13 already persisted")
	if n := stored(t, db.Pool); n != 0 {
		t.Errorf("the demo wrote %d records into the database that was named", n)
	}
	_, after, _ := strings.Cut(got.stdout, "in a scratch database: ")
	name, _, _ := strings.Cut(after, "\n")
	var there bool
	if err := db.Pool.QueryRow(context.Background(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
		t.Errorf("scratch database %q is still there: %t, %v", name, there, err)
	}
}
