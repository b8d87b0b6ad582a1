package coordaudit

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Two queries have different fingerprints even if the texts of their fields run together to
// the same text. Each group splits one text in different places.
func TestFingerprintsDiffer(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	queries := map[string]audit.Query{
		"an id of two letters":               {EnvelopeIDs: []string{"ab"}},
		"two ids of one":                     {EnvelopeIDs: []string{"a", "b"}},
		"an id and a conflicting one":        {EnvelopeIDs: []string{"a"}, ConflictingEnvelopeID: "b"},
		"a conflicting id":                   {ConflictingEnvelopeID: "ab"},
		"a preempting id":                    {PreemptingEnvelopeID: "ab"},
		"one of each":                        {ConflictingEnvelopeID: "a", PreemptingEnvelopeID: "b"},
		"a subsystem":                        {TargetSubsystem: "ab"},
		"a subsystem and its parameter":      {TargetSubsystem: "a", TargetParameter: "b"},
		"a parameter":                        {TargetParameter: "ab"},
		"a parameter and a reason":           {TargetParameter: "a", ReasonContains: "b"},
		"a reason":                           {ReasonContains: "ab"},
		"ids, 2 and 1":                       {EnvelopeIDs: []string{"aa", "b"}},
		"ids, 1 and 2":                       {EnvelopeIDs: []string{"a", "ab"}},
		"an id that is a class":              {EnvelopeIDs: []string{"COST"}},
		"that class":                         {EnvelopeClasses: []audit.EnvelopeClass{audit.Cost}},
		"that class as a decision":           {Decisions: []audit.Decision{"COST"}},
		"an id and a class":                  {EnvelopeIDs: []string{"a"}, EnvelopeClasses: []audit.EnvelopeClass{audit.Cost}},
		"two ids, of which one is the class": {EnvelopeIDs: []string{"a", "COST"}},
		"a text with a length in it":         {EnvelopeIDs: []string{"a\x01b"}},
		"since":                              {Window: audit.Window{Since: moment}},
		"until":                              {Window: audit.Window{Until: moment}},
		"both":                               {Window: audit.Window{Since: moment, Until: moment}},
		"oldest first":                       {Order: audit.OldestFirst},
		"a code":                             {ReasonCode: "ab"},
		"a code and a policy":                {ReasonCode: "a", PolicyVersion: "b"},
		"a reason and a code":                {ReasonContains: "a", ReasonCode: "b"},
		"a policy":                           {PolicyVersion: "ab"},
		"an actor":                           {Actor: "ab"},
		"a policy and an actor":              {PolicyVersion: "a", Actor: "b"},
		"a cause":                            {CausedBy: uuid.UUID{1}},
		"a corrected record":                 {Corrects: uuid.UUID{1}},
		"an action":                          {CorrelationID: "ab"},
		"an actor and an action":             {Actor: "a", CorrelationID: "b"},
		"an action that is a cause":          {CorrelationID: uuid.UUID{1}.String()},
		"a trace":                            {TraceID: audit.TraceID{1}},
		"an action that is a trace":          {CorrelationID: audit.TraceID{1}.String()},
		"nothing":                            {},
	}
	scopes := map[string]audit.Scope{
		"tenant a": audit.Tenant("a"), "tenant ab": audit.Tenant("ab"), "no tenant": audit.NoTenant(), "all tenants": audit.AllTenants(),
		"a tenant named as none": audit.Tenant("no tenant"), "a tenant named as all": audit.Tenant("all tenants"),
		"a tenant that looks like a scope and a bound": audit.Tenant("a" + moment.Format(time.RFC3339Nano)),
	}
	seen := make(map[fingerprint]string)
	look := func(name string, of fingerprint) {
		if other, twice := seen[of]; twice {
			t.Errorf("%s and %s have one fingerprint", other, name)
		}
		seen[of] = name
	}
	for scopeName, scope := range scopes {
		for name, q := range queries {
			q.Scope = scope
			look("list for "+scopeName+", "+name, listFingerprint(&q))
		}
		for _, envelope := range []string{"a", "ab", "b"} {
			look("timeline for "+scopeName+", "+envelope, timelineFingerprint(&audit.TimelineQuery{Scope: scope, EnvelopeID: envelope}))
		}
	}
}

// Differences that do not change the query do not change the fingerprint, so a cursor stays
// valid.
func TestFingerprintIsStable(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	window := audit.Window{Since: moment.In(time.FixedZone("", 3600))}.Normalized()
	one := audit.Query{Scope: audit.AllTenants(), EnvelopeIDs: []string{"a", "b"}, Window: audit.Window{Since: moment}}
	other := audit.Query{Scope: audit.AllTenants(), EnvelopeIDs: []string{"b", "a", "b"}, Window: window, Limit: 7, After: "x"}
	if listFingerprint(&one) != listFingerprint(&other) {
		t.Error("the order of a filter's values, one that comes twice, a zone, the limit or the place makes another query")
	}
}
