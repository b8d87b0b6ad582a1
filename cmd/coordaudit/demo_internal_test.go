package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

func TestDemoFitsOneScreen(t *testing.T) {
	t.Parallel()
	got := run(t, "", "", "demo")
	got.mustExit(t, exitDone)
	all := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if len(all) > 45 {
		t.Errorf("%d lines, at most 45 are allowed:\n%s", len(all), got.stdout)
	}
	for _, text := range all {
		if utf8.RuneCountInString(text) > demoColumns || strings.TrimRight(text, " ") != text {
			t.Errorf("longer than %d characters, or blanks at its end: %q", demoColumns, text)
		}
	}
	mustContain(t, got.stdout,
		"private and temporary",
		"09:00:28  globex  PERFORMANCE  turbo-cache-1    PREEMPTED  cache.ttl goes to cache-guard-4 (SAFETY)\n",
		"09:01:10  acme    (kill switch on: no decision, no record)\n",
		"Read back from the database: 8 APPLIED, 4 REJECTED, 1 PREEMPTED\n",
		"13 already persisted, 0 stored twice, 13 rows in the table\n",
		"UPDATE, DELETE, TRUNCATE:    refused by 2 triggers, also to the table's owner",
		"README.md", "examples/coordinator")
	if got.stderr != "" || strings.Contains(got.stdout, "\x1b") {
		t.Errorf("colours without a terminal, or stderr: %q\n%q", got.stderr, got.stdout)
	}
}

func TestDemoOnAServerLeavesItAsItWas(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	got := run(t, "", "", "demo", "--database-url", db.URL)
	got.mustExit(t, exitDone)
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

func TestPsqlLineIsForAShellAndHoldsNoPassword(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig("postgres://o%27neil:secret@db.example:6543/x?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	host := &demoHost{config: config}
	if diff := cmp.Diff(`psql -h db.example -p 6543 -U 'o'\''neil' x`, host.psql()); diff != "" {
		t.Errorf("psql (-want +got):\n%s", diff)
	}
}

func TestColoursAddNothingButColour(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 9, 2, 0, 0, time.UTC)
	var records []audit.Record
	for _, decision := range audit.Decisions() {
		records = append(records, audit.Record{EnvelopeID: "e", EnvelopeClass: audit.Cost, Decision: decision, Reason: "because", DecisionTimestamp: at})
	}
	plain, coloured := timeline(records, at, painter(false)), timeline(records, at, painter(true))
	if got := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(coloured, ""); got != plain || coloured == plain {
		t.Errorf("without its colours the timeline differs (-want +got):\n%s", cmp.Diff(plain, got))
	}
}

func TestWrapBreaksBetweenWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "",
		"one two":               "one two",
		"one two three":         "one two|three",
		"a-word-that-is-long x": "a-word-that-is-long|x",
	} {
		if got := wrap(text, 8, "|"); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
