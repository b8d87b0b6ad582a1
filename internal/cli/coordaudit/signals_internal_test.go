package coordaudit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestSignalsJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	got := run(t, db.URL, "", "signals", "--all-tenants", "--json", "--evidence=1",
		"--since=2026-01-05T00:00:00Z", "--until=2026-01-06T00:00:00Z", "--trend=2")
	found := result[reading.SignalsJSON](t, got)
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.stdout), &keys); err != nil {
		t.Fatal(err)
	}
	mustHaveKeys(t, "signals", []byte(got.stdout), "window", "rejection_rates", "oscillations", "friction", "self_conflicts",
		"repeated_rejections", "repeated_parameter_rejections", "self_conflict_evidence", "trend", "preemption_cycles")
	mustHaveKeys(t, "window", keys["window"], "since", "until")
	for list, wanted := range map[string]string{
		"rejection_rates":               "class rejected total rate first_seen last_seen evidence",
		"oscillations":                  "tenant_id envelope_id cycles preempting_envelopes first_preempted last_reapplied evidence",
		"friction":                      "class counterpart_class conflicts rejected preempted evidence",
		"repeated_rejections":           "tenant_id envelope_id rejections first_seen last_seen evidence",
		"repeated_parameter_rejections": "tenant_id target_subsystem target_parameter rejections counterpart_classes first_seen last_seen evidence",
		"trend":                         "window rejection_rates",
	} {
		var entries []json.RawMessage
		if err := json.Unmarshal(keys[list], &entries); err != nil || len(entries) == 0 {
			t.Fatalf("%s: %v: %s", list, err, keys[list])
		}
		mustHaveKeys(t, list, entries[0], strings.Fields(wanted)...)
		var entry map[string]json.RawMessage
		if err := json.Unmarshal(entries[0], &entry); err != nil {
			t.Fatal(err)
		}
		if list != "trend" {
			mustHaveKeys(t, list, entry["evidence"], "audit_ids", "records")
		}
	}

	oscillation, rejections, parameter := found.Oscillations[0], found.RepeatedRejections[0], found.RepeatedParameterRejections[0]
	type numbers struct {
		Cycles, BySelf, Self, Rejections, Parameter, Conflicts, Evidence int64
		Rate                                                             float64
		IDs                                                              int
	}
	sum := numbers{
		oscillation.Cycles, oscillation.PreemptingEnvelopes["guard"], found.SelfConflicts, rejections.Rejections, parameter.Rejections,
		found.Friction[0].Conflicts, oscillation.Evidence.Records, found.RejectionRates[0].Rate, len(oscillation.Evidence.AuditIDs),
	}
	want := numbers{Cycles: 3, BySelf: 3, Self: 1, Rejections: 3, Parameter: 3, Conflicts: 3, Evidence: 6, Rate: 1, IDs: 1}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("%s(-want +got):\n%s", got.stdout, diff)
	}
	if first, last := found.Trend[0], found.Trend[1]; len(found.Trend) != 2 || *first.Window.Since != "2026-01-04T00:00:00.000000Z" ||
		*first.Window.Until != *last.Window.Since || len(first.RejectionRates) != 0 || len(last.RejectionRates) != 3 {
		t.Errorf("trend: %+v", found.Trend)
	}
}

// withCodes is the story, with a reason code in each rejection.
func withCodes() []audit.Record {
	recs := story("acme")
	for i := range recs {
		switch {
		case recs[i].EnvelopeID == "turbo":
			recs[i].ReasonCode = "SAME_PARAMETER"
		case recs[i].Decision == audit.Rejected:
			recs[i].ReasonCode = "ITSELF"
		}
	}
	return recs
}

func TestSignalsHaveTopReasonCodes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, withCodes()...)
	args := []string{"signals", "--all-tenants", "--since=2026-01-05T00:00:00Z", "--until=2026-01-06T00:00:00Z", "--trend=1"}
	got := run(t, db.URL, "", append(args, "--json")...)
	found := result[reading.SignalsJSON](t, got)
	want := reading.TopCodeJSON{ReasonCode: "SAME_PARAMETER", Records: 3}
	for name, top := range map[string]*reading.TopCodeJSON{
		"rate": found.RejectionRates[0].TopReasonCode, "trend": found.Trend[0].RejectionRates[0].TopReasonCode,
		"friction": found.Friction[1].TopReasonCode, "rejections": found.RepeatedRejections[0].TopReasonCode,
		"parameter": found.RepeatedParameterRejections[0].TopReasonCode,
	} {
		if top == nil || *top != want {
			t.Errorf("%s: %+v, want %+v", name, top, want)
		}
	}
	if top := found.SelfConflictTopReasonCode; top == nil || *top != (reading.TopCodeJSON{ReasonCode: "ITSELF", Records: 1}) {
		t.Errorf("self-conflicts: %+v", top)
	}
	if n := strings.Count(got.stdout, `top_reason_code":`); n != 6 {
		t.Errorf("%d top codes, want 6:\n%s", n, got.stdout)
	}
	got = run(t, db.URL, "", args...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, uuids().ReplaceAllString(got.stdout, "id"), `
CLASS        RECORDS  REJECTED    RATE  NEWEST REJECTED                       TOP REASON CODE
PERFORMANCE        4         4  100.0%  id  3 × SAME_PARAMETER
COST               7         0    0.0%
`, `
CLASS        LOST TO  CONFLICTS  REJECTED  PREEMPTED  NEWEST                                TOP REASON CODE
COST         SAFETY           3         0          3  id
PERFORMANCE  SAFETY           3         3          0  id  3 × SAME_PARAMETER
`, `
TIMES  TENANT  ENVELOPE  NEWEST                                TOP REASON CODE
    3  acme    turbo     id  3 × SAME_PARAMETER
`, `
TIMES  TENANT  SUBSYSTEM  PARAMETER  IN THE WAY  TOP REASON CODE
    3  acme    cache      ttl        3 × SAFETY  3 × SAME_PARAMETER
`)
}

func TestSignalsJSONHasNoNull(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	got := run(t, db.URL, "", "signals", "--all-tenants", "--json", "--since=")
	want := `{"window":{"since":null,"until":null},"rejection_rates":[],"oscillations":[],"friction":[],"self_conflicts":0,` +
		`"repeated_rejections":[],"repeated_parameter_rejections":[],"self_conflict_evidence":{"audit_ids":[],"records":0},` +
		`"preemption_cycles":{"heaviest":[],"total":0,"at_least":false}}` + "\n"
	if got.stdout != want {
		t.Errorf("nothing is %s, want %s", got.stdout, want)
	}
	got = run(t, db.URL, "", "signals", "--all-tenants", "--json", "--trend=1")
	found := result[reading.SignalsJSON](t, got)
	if found.Window.Since == nil || found.Window.Until == nil || len(found.Trend) != 1 || found.Trend[0].RejectionRates == nil {
		t.Errorf("the last 7 days: %s", got.stdout)
	}
}

func TestSignalsDefaultWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...) // long ago
	if found := result[reading.SignalsJSON](t, run(t, db.URL, "", "signals", "--tenant=acme", "--json")); found.Window.Since == nil || found.SelfConflicts != 0 {
		t.Errorf("%+v", found)
	}
	if found := result[reading.StatsJSON](t, run(t, db.URL, "", "stats", "--tenant=acme", "--json")); found.Window.Since != nil || found.Total != 14 {
		t.Errorf("the default of signals is that of stats too: %+v", found)
	}
}

func TestSignalsText(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	args := []string{"signals", "--all-tenants", "--since=2026-01-05T00:00:00Z", "--until=2026-01-06T00:00:00Z", "--trend=2"}
	got := run(t, db.URL, "", args...)
	got.mustExit(t, cli.ExitDone)
	shown := uuids().ReplaceAllString(got.stdout, "id")
	want := `signals for all tenants
from 2026-01-05T00:00:00.000000Z to 2026-01-06T00:00:00.000000Z

Rejection rates, of classes with at least 3 records
CLASS        RECORDS  REJECTED    RATE  NEWEST REJECTED
PERFORMANCE        4         4  100.0%  id
COST               7         0    0.0%
SAFETY             3         0    0.0%

Oscillations, of at least 2 cycles of PREEMPTED and APPLIED
CYCLES  TENANT  ENVELOPE  LAST (UTC)           PREEMPTED BY
     3  acme    swing     2026-01-05 12:00:13  3 × guard

Friction, of at least 3 conflicts: which class lost to which
CLASS        LOST TO  CONFLICTS  REJECTED  PREEMPTED  NEWEST
COST         SAFETY           3         0          3  id
PERFORMANCE  SAFETY           3         3          0  id
1 conflict of envelopes with themselves, counted apart

Repeated rejections, of envelopes rejected at least 3 times
TIMES  TENANT  ENVELOPE  NEWEST
    3  acme    turbo     id

Repeated rejections, over parameters, at least 3 times
TIMES  TENANT  SUBSYSTEM  PARAMETER  IN THE WAY
    3  acme    cache      ttl        3 × SAFETY

Preemption cycles, of 2 to 5 envelopes: each is preempted by the next one, and the last by the first
none

Trend of the rejection rates; the last window is the one above
FROM (UTC)           SAFETY  RELIABILITY  COST  PERFORMANCE  UNKNOWN
2026-01-04 00:00:00       -            -     -            -        -
2026-01-05 00:00:00    0.0%            -  0.0%       100.0%        -
`
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = run(t, db.URL, "", append(args, "--min-records=4", "--min-cycles=4", "--min-conflicts=4", "--min-rejections=4")...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "at least 4 records\n", "at least 4 cycles of PREEMPTED and APPLIED\nnone\n", "at least 4 conflicts: ", "rejected at least 4 times\nnone\n")
	if strings.Count(got.stdout, "none\n") != 5 {
		t.Errorf("not five times none:\n%s", got.stdout)
	}
}

func TestSignalsShowPreemptionCycles(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var recs []audit.Record
	for n, pair := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}, {"a", "b"}, {"b", "a"}, {"a", "b"}, {"b", "c"}, {"c", "a"}} {
		rec := preempted(noon().Add(time.Duration(n)*time.Second), "acme", pair[0], pair[1])
		rec.AuditID, rec.CounterpartClass = number(n), audit.Cost
		recs = append(recs, rec)
	}
	other := preempted(noon(), "emu", "b", "a")
	other.CounterpartClass = audit.Cost
	persist(t, db, append(recs, other)...)
	args := []string{"signals", "--all-tenants", "--since=2026-01-05T00:00:00Z", "--until=2026-01-06T00:00:00Z"}
	got := run(t, db.URL, "", args...)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, `
TURNS  TENANT  LAST (UTC)           ENVELOPES, WITH THEIR PREEMPTIONS BY THE NEXT  NEWEST
    2  acme    2026-01-05 12:00:07  3 × a, 2 × b, 2 × c                            `+number(7).String()+`
    1  acme    2026-01-05 12:00:05  3 × a, 1 × b                                   `+number(5).String()+`
`)
	found := result[reading.SignalsJSON](t, run(t, db.URL, "", append(args, "--json", "--evidence=2")...)).PreemptionCycles
	want := reading.PreemptionStepJSON{
		EnvelopeID: "a", Preemptions: 3, FirstSeen: "2026-01-05T12:00:00.000000Z", LastSeen: "2026-01-05T12:00:05.000000Z",
		Evidence: reading.EvidenceJSON{AuditIDs: []uuid.UUID{number(5), number(3)}, Records: 3},
	}
	if found.Total != 2 || found.AtLeast || len(found.Heaviest) != 2 {
		t.Fatalf("%+v, want 2 cycles", found)
	}
	if diff := cmp.Diff(want, found.Heaviest[0].Steps[0]); diff != "" || found.Heaviest[0].Turns != 2 || found.Heaviest[0].TenantID != "acme" {
		t.Errorf("%+v (-want +got):\n%s", found.Heaviest[0], diff)
	}
}
