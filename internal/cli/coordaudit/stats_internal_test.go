package coordaudit

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestStatsJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	late := rejected(noon().Add(48*time.Hour), "", "turbo", "guard")
	late.ReasonCode = "SAME_PARAMETER"
	late.ActiveEnvelopesCount, late.TargetSubsystem, late.TargetParameter = 7, "cache", "ttl"
	persist(t, db,
		applied(noon(), "acme", "a"), applied(noon().Add(time.Microsecond), "acme", "b"),
		preempted(noon().Add(time.Second), "acme", "a", "b"), late, applied(noon().Add(1000*time.Hour), "acme", "later"))
	got := run(t, db.URL, "", "stats", "--all-tenants", "--json", "--until=2026-01-10T01:00:00+01:00")
	result[reading.StatsJSON](t, got)
	mustHaveKeys(t, "stats", []byte(got.stdout), "window", "total", "by_class_decision", "by_tenant", "by_day", "by_reason",
		"other_reasons", "first_seen", "last_seen", "max_active_envelopes", "by_parameter", "by_reason_code", "other_reason_codes")
	want := `{
		"window": {"since": null, "until": "2026-01-10T00:00:00.000000Z"},
		"total": 4,
		"by_class_decision": {
			"COST": {"APPLIED": 2, "PREEMPTED": 1, "REJECTED": 0},
			"PERFORMANCE": {"APPLIED": 0, "PREEMPTED": 0, "REJECTED": 1}
		},
		"by_tenant": {"": 1, "acme": 3},
		"by_day": {"2026-01-05": 3, "2026-01-07": 1},
		"by_reason": {"applied": 2, "goes to b": 1, "in the way: guard": 1},
		"other_reasons": 0,
		"first_seen": "2026-01-05T12:00:00.000000Z",
		"last_seen": "2026-01-07T12:00:00.000000Z",
		"max_active_envelopes": 7,
		"by_parameter": [{"class": "PERFORMANCE", "target_subsystem": "cache", "target_parameter": "ttl", "APPLIED": 0, "REJECTED": 1, "PREEMPTED": 0}],
		"by_reason_code": {"SAME_PARAMETER": {"REJECTED": 1}},
		"other_reason_codes": 0
	}`
	mustEqualJSON(t, want, got.stdout)

	got = run(t, db.URL, "", "stats", "--tenant=none-such", "--json")
	mustEqualJSON(t, `{"window": {"since": null, "until": null}, "total": 0, "by_class_decision": {}, "by_tenant": {}, "by_day": {},
		"by_reason": {}, "other_reasons": 0, "first_seen": null, "last_seen": null, "max_active_envelopes": 0, "by_parameter": [],
		"by_reason_code": {}, "other_reason_codes": 0}`, got.stdout)
}

func mustEqualJSON(t *testing.T, want, got string) {
	t.Helper()
	var wanted, gotten any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &gotten); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if diff := cmp.Diff(wanted, gotten); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatsText(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := story("acme")
	unknown := applied(noon().Add(72*time.Hour), "", "e")
	unknown.EnvelopeClass = ""
	persist(t, db, append(recs, unknown)...)
	got := run(t, db.URL, "", "stats", "--all-tenants")
	got.mustExit(t, cli.ExitDone)
	want := `15 records, of any time
first seen 2026-01-05T12:00:01.000000Z, last seen 2026-01-08T12:00:00.000000Z
at most 0 envelopes active after a decision

CLASS        APPLIED  REJECTED  PREEMPTED  TOTAL
SAFETY             3         0          0      3
COST               4         0          3      7
PERFORMANCE        0         4          0      4
UNKNOWN            1         0          0      1
all                8         4          3     15

DAY (UTC)   S safety, R reliability, C cost, P performance, U unknown
2026-01-05  SSSCCCCCCCPPPP  14
(2 days without records)
2026-01-08  U  1

RECORDS  SHARE  TENANT
     14  93.3%  acme
      1   6.7%  (none)

RECORDS  SHARE  REASON
      8  53.3%  applied
      3  20.0%  goes to guard
      3  20.0%  in the way: guard
      1   6.7%  in the way: swing

CLASS        SUBSYSTEM  PARAMETER  APPLIED  REJECTED  PREEMPTED
PERFORMANCE  cache      ttl              0         3          0
`
	if diff := cmp.Diff(want, got.stdout); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatsTextHasReasonCodes(t *testing.T) {
	t.Parallel()
	found := audit.Breakdown{Total: 1000, OtherReasonCodes: 100, ByReasonCode: map[string]map[audit.Decision]int64{
		"SAME_PARAMETER": {audit.Rejected: 90, audit.Preempted: 10},
		"PARAMETER_FREE": {audit.Applied: 200},
	}}
	text := reading.StatsText(audit.NoTenant(), found, term.Screen{Columns: term.DefaultColumns})
	mustContain(t, text, `
RECORDS  SHARE  REASON CODE
    600  60.0%  (none)
    200  20.0%  PARAMETER_FREE
    100  10.0%  SAME_PARAMETER
    100  10.0%  (all others)
`)
}

func TestStatsMostFrequent(t *testing.T) {
	t.Parallel()
	found := audit.Breakdown{Total: 1000, ByReason: map[string]int64{}, OtherReasons: 100}
	for n := range 20 {
		found.ByReason[fmt.Sprintf("reason %02d", n)] = int64(26 + 2*n) // 900 in all
	}
	text := reading.StatsText(audit.NoTenant(), found, term.Screen{Columns: term.DefaultColumns})
	mustContain(t, text, "     64   6.4%  reason 19\n", "     46   4.6%  reason 10\n    450  45.0%  (all others)\n")
	if strings.Contains(text, "reason 09") || strings.Contains(text, "TENANT") {
		t.Errorf("too much:\n%s", text)
	}
}

func TestDayChart(t *testing.T) {
	t.Parallel()
	var days []audit.DayCount
	for n := range 70 {
		counts := map[audit.EnvelopeClass]int64{audit.Safety: int64(1000 * n), audit.Cost: 999_999, audit.Unknown: 1}
		days = append(days, audit.DayCount{Day: noon().Truncate(24*time.Hour).AddDate(0, 0, n), ByClass: counts})
	}
	text := term.DayChart(days, term.Screen{Columns: term.DefaultColumns})
	mustFit(t, text)
	mustContain(t, text, "\n(10 earlier days left out)\n2026-01-15  ")
	rows := strings.Split(strings.TrimSpace(text), "\n")
	if len(rows) != 2+term.MaxDays {
		t.Errorf("%d rows:\n%s", len(rows), text)
	}
	for _, row := range rows[2:] {
		if strings.Count(row, "U") != 1 || strings.Count(row, "C") < 60 || strings.Count(row, "R") != 0 {
			t.Errorf("bar: %s", row)
		}
	}
	if n := len(rows[len(rows)-1]); n < term.DefaultColumns-5 {
		t.Errorf("the longest bar's row has %d characters of %d", n, term.DefaultColumns)
	}
}
