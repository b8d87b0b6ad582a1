package coordaudit

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestReadingUsage(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	cursor := result[listed](t, run(t, db.URL, "", "list", "--tenant=acme", "--limit=1", "--json")).Next
	tests := map[string]struct {
		args string
		says string
	}{
		"ListWithoutScope":     {"list", "missing flags: --tenant=ID or --no-tenant or --all-tenants"},
		"TimelineNoScope":      {"timeline e", "--all-tenants"},
		"StatsNoScope":         {"stats", "--all-tenants"},
		"SignalsNoScope":       {"signals", "--all-tenants"},
		"ExportNoScope":        {"export", "--all-tenants"},
		"TimelineNoEnvelope":   {"timeline --all-tenants", `expected "<envelope>"`},
		"TimelineEmpty":        {"timeline --all-tenants --", `expected "<envelope>"`},
		"LimitZero":            {"list --all-tenants --limit=0", "--limit must be 1 to 1000"},
		"LimitNegative":        {"list --all-tenants --limit=-1", "--limit must be 1 to 1000"},
		"LimitTooLarge":        {"list --all-tenants --limit=5000", "--limit must be 1 to 1000"},
		"TimelineLimitZero":    {"timeline e --all-tenants --limit=0", "--limit must be 1 to 1000"},
		"TenantTooLong":        {"list --tenant=" + strings.Repeat("t", 101), "--tenant is 101 characters long, at most 100 are allowed"},
		"SinceAfterUntil":      {"list --all-tenants --since=2026-02-01T00:00:00Z --until=2026-01-01T00:00:00Z", "--since lies after --until"},
		"StatsSinceAfterUntil": {"stats --all-tenants --since=1h --until=2h", "--since lies after --until"},
		"NaiveTime":            {"export --all-tenants --since=2026-02-01T00:00:00", "--since must be an RFC 3339 time with an offset"},
		"BothBounds":           {"stats --all-tenants --since=x --until=y", "or 7d; --until must be"},
		"UnknownClass":         {"list --all-tenants --class=speed", "--class must be one of SAFETY, "},
		"UnknownDecision":      {"list --all-tenants --decision=expired", "--decision must be one of APPLIED, "},
		"EmptyEnvelope":        {"list --all-tenants --envelope=", "--envelope must not be empty"},
		"EmptyFilters":         {"list --all-tenants --conflicting= --reason=", "--conflicting is empty; leave it out to see all records; --reason is empty; "},
		"CursorOfNothing":      {"list --all-tenants --cursor=!", "--cursor is damaged: "},
		"CursorTruncated":      {"list --tenant=acme --cursor=" + cursor[:len(cursor)-4], "--cursor is damaged: "},
		"CursorNewer":          {"list --tenant=acme --cursor=" + newerCursor(), "--cursor was made by another version"},
		"CursorOfAnother":      {"list --all-tenants --cursor=" + cursor, "--cursor belongs to another query"},
		"CursorOfAnotherKind":  {"timeline swing --tenant=acme --cursor=" + cursor, "--cursor belongs to another query"},
		"TimeoutZero":          {"stats --all-tenants --timeout=0s", "--timeout must be positive"},
		"MinCyclesZero":        {"signals --all-tenants --min-cycles=0", "--min-cycles must be 1 or more"},
		"EvidenceTooMuch":      {"signals --all-tenants --evidence=1001", "--evidence must be 1 to 1000"},
		"GapsLimitZero":        {"gaps --limit=0", "--limit must be 1 to 1000"},
		"GapsSinceAfterUntil":  {"gaps --since=1h --until=2h", "--since lies after --until"},
		"GapsTakeNoScope":      {"gaps --all-tenants", "unknown flag --all-tenants"},
		"GapsTakeNoCursor":     {"gaps --cursor=x", "unknown flag --cursor"},
		"GapsYearTooLate":      {"gaps --until=9999-12-31T23:59:59-01:00", "--until must lie in the years 1 to 9999 (UTC)"},
		"GapsTimeoutZero":      {"gaps --timeout=0s", "--timeout must be positive"},
		"TrendZero":            {"signals --all-tenants --trend=0", "--trend must be 1 to 1000"},
		"TrendWithoutSince":    {"signals --all-tenants --trend=2 --since=", "--since is required: a trend's windows have a length"},
		"OutEmpty":             {"export --all-tenants --out=", "--out is empty"},
		"ManifestToStdout":     {"export --all-tenants --manifest=-", "--manifest must be a file"},
		"OutIsTheManifest":     {"export --all-tenants --out=/tmp/x --manifest=/tmp/../tmp/x", "--out and --manifest are the same file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, db.URL, "", strings.Fields(test.args)...)
			got.mustExit(t, cli.ExitUsage)
			mustContain(t, got.stderr, "coordaudit: ", test.says)
			if got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("stdout: %q\nstderr: %q", got.stdout, got.stderr)
			}
		})
	}
}

// newerCursor is a valid cursor of a future version.
func newerCursor() string {
	bytes := []byte{2, 'w', 'h', 'a', 't', 'e', 'v', 'e', 'r'}
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(bytes, crc32.ChecksumIEEE(bytes)))
}

// ofEveryKind returns every form of the reading commands.
func ofEveryKind(envelope string) [][]string {
	return [][]string{
		{"list"},
		{"list", "--ids"},
		{"list", "--json"},
		{"timeline", envelope},
		{"timeline", envelope, "--json"},
		{"stats"},
		{"stats", "--json"},
		{"signals", "--since="},
		{"signals", "--since=2026-01-01T00:00:00Z", "--until=2026-03-01T00:00:00Z", "--trend=3"},
		{"signals", "--since=", "--json"},
		{"export"},
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	scopes := map[string]string{"--tenant=acme": "acme", "--tenant=globex": "globex", "--no-tenant": ""}
	mark := func(tenant string) string { return "of-" + tenant + "-alone" }
	var all []audit.Record
	for _, tenant := range scopes {
		recs := story(tenant)
		for i := range recs {
			rec := &recs[i]
			rec.Reason += " " + mark(tenant)
			if rec.PreemptingEnvelopeID != "" {
				rec.PreemptingEnvelopeID = "guard-" + mark(tenant)
			}
			if rec.ConflictingEnvelopeID == "guard" {
				rec.ConflictingEnvelopeID, rec.TargetParameter = "swing", mark(tenant)
			}
		}
		all = append(all, recs...)
	}
	persist(t, db, all...)
	for scope, own := range scopes {
		for _, args := range ofEveryKind("swing") {
			t.Run(scope+" "+strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				got := run(t, db.URL, "", append(args, scope)...)
				got.mustExit(t, cli.ExitDone)
				if strings.Count(got.stdout, "\n") == 0 || strings.Contains(got.stdout, "no records") {
					t.Errorf("it shows nothing: %s", got.stdout)
				}
				for _, tenant := range scopes {
					if tenant != own && strings.Contains(got.stdout, mark(tenant)) {
						t.Errorf("%q has no place in it:\n%s", mark(tenant), got.stdout)
					}
				}
				if args[len(args)-1] != "--ids" && !strings.Contains(got.stdout, mark(own)) {
					t.Errorf("%q is not in it:\n%s", mark(own), got.stdout)
				}
			})
		}
	}
	ids := run(t, db.URL, "", "list", "--ids", "--tenant=acme")
	if n := strings.Count(ids.stdout, "\n"); n != 1+len(story("acme")) {
		t.Errorf("%d lines:\n%s", n, ids.stdout)
	}
}

func TestScreens(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := unpleasant()
	persist(t, db, recs...)
	for _, scope := range []string{"--all-tenants", "--no-tenant", "--tenant=" + recs[1].TenantID} {
		for _, args := range ofEveryKind(recs[0].EnvelopeID) {
			args = append(args, scope)
			if args[0] == "export" || strings.Contains(strings.Join(args, " "), "--json") {
				continue
			}
			if args[0] == "signals" {
				args = append(args, "--min-rejections=1", "--min-cycles=1", "--min-conflicts=1", "--min-records=1")
			}
			got := runOnTerminal(t, db.URL, term.DefaultColumns, args...)
			got.mustExit(t, cli.ExitDone)
			mustFit(t, got.stdout)
		}
	}
}

func TestNothingToShow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for command, says := range map[string]string{
		"list":       "no records\n",
		"timeline e": "no records\n",
		"stats":      "0 records, of any time\n",
		"signals":    "none\n",
		"export":     "",
	} {
		got := run(t, db.URL, "", append(strings.Fields(command), "--all-tenants")...)
		got.mustExit(t, cli.ExitDone)
		if !strings.Contains(got.stdout, says) {
			t.Errorf("%s: %q", command, got.stdout)
		}
		if command == "signals" && strings.Count(got.stdout, "none\n") != 6 {
			t.Errorf("not six times none:\n%s", got.stdout)
		}
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	recs := story("acme")
	var entries []audit.TimelineEntry
	for _, rec := range recs {
		entries = append(entries, audit.TimelineEntry{Record: rec})
	}
	counts := map[audit.EnvelopeClass]int64{audit.Safety: 1, audit.Unknown: 2}
	found := audit.Breakdown{
		Total: 3, ByClassDecision: map[audit.EnvelopeClass]map[audit.Decision]int64{audit.Safety: {audit.Applied: 3}},
		ByDay: []audit.DayCount{{Day: noon(), ByClass: counts}}, ByReason: map[string]int64{"because": 3},
	}
	signals := audit.Signals{RejectionRates: []audit.RejectionRate{{EnvelopeClass: audit.Cost, Rejected: 1, Total: 3}}}
	for name, show := range map[string]func(on term.Screen) string{
		"list": func(on term.Screen) string {
			return reading.RecordsTable(recs, audit.AllTenants(), false, on)
		},
		"timeline": func(on term.Screen) string {
			return term.Timeline(audit.TimelineQuery{EnvelopeID: "swing"}, entries, on)
		},
		"stats": func(on term.Screen) string {
			return reading.StatsText(audit.AllTenants(), found, on)
		},
		"signals": func(on term.Screen) string {
			return reading.SignalsText(audit.SignalQuery{}, signals, nil, on)
		},
	} {
		plain, coloured := show(term.Screen{Columns: term.DefaultColumns}), show(term.Screen{Columns: term.DefaultColumns, Colour: true})
		if got := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(coloured, ""); got != plain || coloured == plain {
			t.Errorf("%s: coloured, it differs in more than colour:\n%s\n%s", name, plain, got)
		}
	}

	db := testdb.New(t)
	persist(t, db, recs...)
	for _, args := range ofEveryKind("swing") {
		if got := run(t, db.URL, "", append(args, "--all-tenants")...); strings.Contains(got.stdout+got.stderr, "\x1b") {
			t.Errorf("%v: colours without a terminal: %q", args, got.stdout)
		}
	}
}

func TestReadTimeout(t *testing.T) {
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
	for _, command := range []string{"list", "timeline e", "stats", "signals"} {
		began := time.Now()
		got := run(t, db.URL, "", append(strings.Fields(command), "--all-tenants", "--timeout=100ms")...)
		got.mustExit(t, cli.ExitFailed)
		mustContain(t, got.stderr, fmt.Sprintf("the database did not answer within %s: ask for less", 100*time.Millisecond))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %s", command, took)
		}
	}
}
