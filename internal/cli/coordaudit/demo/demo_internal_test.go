package demo

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
)

func TestDemoContext(t *testing.T) {
	t.Parallel()
	at100 := term.Screen{Columns: term.DefaultColumns}
	var records []audit.Record
	for n, code := range []string{"PARAMETER_FREE", "OUTRANKS_HOLDER", "OUTRANKED", "NO_CLASS_DECLARED", "PARAMETER_FREE", "KILL_SWITCH_ON", "SAME_PARAMETER"} {
		rec := audit.Record{ReasonCode: code, Links: audit.Links{CorrelationID: "round-" + strconv.Itoa(n/2)}}
		if n == 2 {
			rec.Links.CausedBy = uuid.New()
		}
		records = append(records, rec)
	}
	want := `Their reason codes:          PARAMETER_FREE=2, KILL_SWITCH_ON=1, NO_CLASS_DECLARED=1, OUTRANKED=1,
                             OUTRANKS_HOLDER=1, SAME_PARAMETER=1
Their links:                 7 records of 4 actions, 1 with the record that caused it
`
	if diff := cmp.Diff(want, contextText(records, at100)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := contextText([]audit.Record{{}}, at100); text != "" {
		t.Errorf("without any: %q", text)
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
	again, err := pgxpool.ParseConfig(host.url())
	if err != nil || again.ConnConfig.Host != "db.example" || again.ConnConfig.Port != 6543 || again.ConnConfig.User != "o'neil" || again.ConnConfig.Database != "x" {
		t.Errorf("%s is %+v, %v", host.url(), again, err)
	}
	if strings.Contains(host.url(), "secret") {
		t.Error("the URL has the password")
	}
}

func TestDemoColours(t *testing.T) {
	t.Parallel()
	at100 := term.Screen{Columns: term.DefaultColumns}
	at := time.Date(2026, 1, 5, 9, 2, 0, 0, time.UTC)
	var records []audit.Record
	for _, decision := range audit.Decisions() {
		records = append(records, audit.Record{EnvelopeID: "e", EnvelopeClass: audit.Cost, Decision: decision, Reason: "because", DecisionTimestamp: at})
	}
	plain, coloured := timeline(records, at, at100), timeline(records, at, term.Screen{Columns: term.DefaultColumns, Colour: true})
	if got := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(coloured, ""); got != plain || coloured == plain {
		t.Errorf("without its colours the timeline differs (-want +got):\n%s", cmp.Diff(plain, got))
	}
}

// The last line of the demo must work when it is pasted.
func TestDemoNamesItsCommand(t *testing.T) {
	directory := t.TempDir()
	program := filepath.Join(directory, "coordaudit")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	for started, want := range map[string]string{
		filepath.Join(os.TempDir(), "go-build123", "b001", "exe", "coordaudit"): "go run ./cmd/coordaudit",
		"./bin/coordaudit": "./bin/coordaudit",
		program:            program,
	} {
		if got := ownCommand(started); got != want {
			t.Errorf("%s: %s, want %s", started, got, want)
		}
	}
	t.Setenv("PATH", directory)
	if got := ownCommand(program); got != "coordaudit" {
		t.Errorf("on PATH: %s", got)
	}
}
