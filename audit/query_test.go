package audit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestZeroQueryNeedsScope(t *testing.T) {
	t.Parallel()
	for name, validate := range map[string]func(audit.Scope) error{
		"Query":          func(s audit.Scope) error { return audit.Query{Scope: s}.Validate() },
		"TimelineQuery":  func(s audit.Scope) error { return audit.TimelineQuery{Scope: s, EnvelopeID: "e"}.Validate() },
		"SignalQuery":    func(s audit.Scope) error { return audit.SignalQuery{Scope: s}.Validate() },
		"BreakdownQuery": func(s audit.Scope) error { return audit.BreakdownQuery{Scope: s}.Validate() },
	} {
		if err := validate(audit.AllTenants()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := validate(audit.Scope{}); !errors.Is(err, audit.ErrNoScope) {
			t.Errorf("%s without a scope: %v, want ErrNoScope", name, err)
		}
		if err := validate(audit.Tenant("a\xff")); !errors.Is(err, audit.ErrInvalidQuery) {
			t.Errorf("%s for a tenant that cannot be: %v, want ErrInvalidQuery", name, err)
		}
	}
}

func TestQueryReportsAllFaults(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	err := audit.Query{
		Scope: audit.AllTenants(), Window: audit.Window{Since: at, Until: at.Add(-time.Second)}, Limit: -1,
		EnvelopeClasses: []audit.EnvelopeClass{"hunter2"}, ReasonContains: "hunter2\xff",
		ReasonCode: strings.Repeat("é", 101), PolicyVersion: "\x00", Actor: "\xff", CorrelationID: strings.Repeat("é", 100) + "x",
	}.Validate()
	invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
	if !ok {
		t.Fatal(err)
	}
	want := []audit.Fault{
		{Field: "since", Reason: "lies after until"},
		{Field: "envelope_classes[0]", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"},
		{Field: "reason_contains", Reason: "is not valid UTF-8"},
		{Field: "reason_code", Reason: "is 101 characters long, at most 100 are allowed"},
		{Field: "policy_version", Reason: "contains a NUL character, which PostgreSQL cannot store"},
		{Field: "actor", Reason: "is not valid UTF-8"},
		{Field: "correlation_id", Reason: "is 101 characters long, at most 100 are allowed"},
		{Field: "limit", Reason: "must be 1 to 1000, or 0 for 100"},
	}
	if diff := cmp.Diff(want, invalid.Faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestWindowIsNormalized(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for bound, want := range map[time.Time]time.Time{
		{}:                              {},
		at:                              at,
		at.Add(time.Nanosecond):         at.Add(time.Microsecond),
		at.Add(999):                     at.Add(time.Microsecond),
		at.Add(-time.Nanosecond):        at,
		at.In(time.FixedZone("", 3600)): at,
	} {
		got := audit.Window{Since: bound, Until: bound}.Normalized()
		if got != (audit.Window{Since: want, Until: want}) {
			t.Errorf("%v became %v, want %v", bound, got, want)
		}
	}
}

func TestRoleOf(t *testing.T) {
	t.Parallel()
	rec := audit.Record{EnvelopeID: "a", ConflictingEnvelopeID: "b", PreemptingEnvelopeID: "b"}
	itself := audit.Record{EnvelopeID: "a", ConflictingEnvelopeID: "a"}
	for _, test := range []struct {
		rec      audit.Record
		envelope string
		want     audit.Role
	}{
		{rec, "a", audit.Subject},
		{rec, "b", audit.Conflicting},
		{rec, "c", ""},
		{rec, "", ""},
		{audit.Record{EnvelopeID: "a", PreemptingEnvelopeID: "b"}, "b", audit.Preempting},
		{itself, "a", audit.Subject},
		{itself, "", ""},
	} {
		if got := test.rec.RoleOf(test.envelope); got != test.want {
			t.Errorf("%q in %+v: %q, want %q", test.envelope, test.rec, got, test.want)
		}
	}
}

func TestSignalDefaults(t *testing.T) {
	t.Parallel()
	got := audit.SignalQuery{MinCycles: 5}.WithDefaults()
	want := audit.SignalQuery{MinRecords: 3, MinCycles: 5, MinConflicts: 3, MinRejections: 3, MaxEvidence: 20}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(audit.Scope{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
