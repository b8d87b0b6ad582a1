package coordaudit

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// long has ids and texts that are too long for a terminal, and more rows than it shows.
func long() []audit.Record {
	var recs []audit.Record
	at := noon()
	next := func() time.Time { at = at.Add(time.Minute); return at }
	for n := range term.MaxRows + 5 {
		id := fmt.Sprintf("%s-%03d-%s", strings.Repeat("e", 40), n, strings.Repeat("f", 40))
		other := fmt.Sprintf("%s-%03d-%s", strings.Repeat("o", 40), n, strings.Repeat("p", 40))
		tenant := fmt.Sprintf("%s-%03d", strings.Repeat("t", 80), n)
		for range 3 {
			rec := rejected(next(), tenant, id, other)
			rec.Reason = fmt.Sprintf("%s %03d", strings.Repeat("because ", 40), n)
			rec.TargetSubsystem, rec.TargetParameter = strings.Repeat("s", 90), fmt.Sprintf("%s%03d", strings.Repeat("p", 90), n)
			recs = append(recs, applied(next(), tenant, id), preempted(next(), tenant, id, other), rec)
		}
	}
	return recs
}

func TestPipeShortensNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := long()
	persist(t, db, recs...)
	last := recs[len(recs)-1]
	for _, test := range []struct {
		args string
		want []string
	}{
		{"list --limit 1000", []string{last.TenantID, last.EnvelopeID, strings.TrimSpace(last.Reason)}},
		{"list --ids --limit 1000", []string{last.TenantID, last.EnvelopeID}},
		{"signals --since= --min-cycles=1 --min-rejections=1 --min-conflicts=1", []string{last.TenantID, last.EnvelopeID, last.TargetSubsystem, last.TargetParameter}},
		{"stats", []string{last.TenantID, last.TargetParameter, strings.TrimSpace(last.Reason)}},
		{"timeline " + last.EnvelopeID, []string{last.TenantID, last.EnvelopeID, last.ConflictingEnvelopeID + " stood in the way"}},
	} {
		args := append(strings.Fields(test.args), "--all-tenants")
		got := run(t, db.URL, "", args...)
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stdout, test.want...)
		if strings.Contains(got.stdout, "…") || strings.Contains(got.stdout, "(and ") {
			t.Errorf("%s: something is cut:\n%s", test.args, got.stdout)
		}
		wide := runOnTerminal(t, db.URL, 100, append(args, "--wide")...)
		if wide.stdout != got.stdout {
			t.Errorf("%s: --wide differs from a pipe", test.args)
		}
		for _, columns := range []int{100, 130} {
			shown := runOnTerminal(t, db.URL, columns, args...)
			widest := 0
			for line := range strings.Lines(shown.stdout) {
				widest = max(widest, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
			}
			if widest > columns || widest < columns-15 {
				t.Errorf("%s: the widest line has %d characters, the terminal %d", test.args, widest, columns)
			}
		}
	}
}

func TestUsageLineScope(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"get", "list", "timeline", "stats", "signals", "export", "report"} {
		got := run(t, "", "", command, "--help")
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stdout, "(--tenant=ID | --no-tenant | --all-tenants)")
	}
}

func TestVersionFlag(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "--version", "version --json"} {
		got := run(t, "", "", strings.Fields(args)...)
		got.mustExit(t, cli.ExitDone)
		if got.stdout == "" || got.stderr != "" {
			t.Errorf("%s: %q %q", args, got.stdout, got.stderr)
		}
	}
}

func TestServerLimits(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records"); err != nil {
		t.Fatal(err)
	}
	for setting, next := range map[string]string{"statement_timeout": "raise statement_timeout for this role", "lock_timeout": "wait until the lock is released"} {
		for _, args := range []string{"stats", "signals", "report --out=-", "list", "timeline e", "export", "get " + number(1).String()} {
			got := run(t, db.URL+"&"+setting+"=50ms", "", append(strings.Fields(args), "--all-tenants")...)
			got.mustExit(t, cli.ExitFailed)
			mustContain(t, got.stderr, next)
			if strings.Contains(got.stderr, "check that the database runs") {
				t.Errorf("%s: %s", args, got.stderr)
			}
		}
	}
}
