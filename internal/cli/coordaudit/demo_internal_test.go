package coordaudit

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
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

func TestDemoContext(t *testing.T) {
	t.Parallel()
	var records []audit.Record
	for n, code := range []string{"PARAMETER_FREE", "OUTRANKS_HOLDER", "OUTRANKED", "NO_CLASS_DECLARED", "PARAMETER_FREE", "KILL_SWITCH_ON", "SAME_PARAMETER"} {
		rec := audit.Record{ReasonCode: code, Links: audit.Links{CorrelationID: "round-" + strconv.Itoa(n/2)}}
		if n == 2 {
			rec.Links.CausedBy = number(1)
		}
		records = append(records, rec)
	}
	want := `Their reason codes:          PARAMETER_FREE=2, KILL_SWITCH_ON=1, NO_CLASS_DECLARED=1, OUTRANKED=1,
                             OUTRANKS_HOLDER=1, SAME_PARAMETER=1
Their links:                 7 records of 4 actions, 1 with the record that caused it
`
	if diff := cmp.Diff(want, contextText(records)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := contextText([]audit.Record{{}}); text != "" {
		t.Errorf("without any: %q", text)
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

func TestDemoPsqlLine(t *testing.T) {
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

func TestDemoColours(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 9, 2, 0, 0, time.UTC)
	var records []audit.Record
	for _, decision := range audit.Decisions() {
		records = append(records, audit.Record{EnvelopeID: "e", EnvelopeClass: audit.Cost, Decision: decision, Reason: "because", DecisionTimestamp: at})
	}
	plain, coloured := timeline(records, at, term.Painter(false)), timeline(records, at, term.Painter(true))
	if got := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(coloured, ""); got != plain || coloured == plain {
		t.Errorf("without its colours the timeline differs (-want +got):\n%s", cmp.Diff(plain, got))
	}
}

func TestWrap(t *testing.T) {
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
