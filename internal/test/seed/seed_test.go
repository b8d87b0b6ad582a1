package seed_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

func TestRecords(t *testing.T) {
	t.Parallel()
	config := seed.Config{Records: 20_000, Seed: 3}
	recs := slices.Collect(seed.Records(config))
	again := slices.Collect(seed.Records(config))
	if len(again) != len(recs) {
		t.Fatalf("the same seed makes %d records and then %d", len(recs), len(again))
	}
	for i := range recs {
		if again[i] != recs[i] { // cmp.Diff of them all would take a minute
			t.Fatalf("the same seed makes other records:\n%s", cmp.Diff(recs[i], again[i]))
		}
	}
	byID := make(map[uuid.UUID]audit.Record)
	stated := map[string]int{}
	count := func(field string, is bool) {
		if is {
			stated[field]++
		}
	}
	for _, rec := range recs {
		if err := rec.Validate(); err != nil || rec.Details != rec.Normalized().Details {
			t.Fatalf("%v: %+v", err, rec)
		}
		byID[rec.AuditID] = rec
		count("target", rec.TargetParameter != "")
		count("code, policy, actor, action", rec.ReasonCode != "" && rec.PolicyVersion != "" && rec.Actor != "" && rec.Links.CorrelationID != "")
		count("any of these", rec.ReasonCode+rec.PolicyVersion+rec.Actor+rec.Links.CorrelationID != "")
		count("cause", rec.Links.CausedBy != uuid.Nil)
		count("details", rec.Details != "")
		count("trace", rec.Origin.TraceID != audit.TraceID{})
	}
	for _, rec := range recs {
		if rec.Links.CausedBy == uuid.Nil {
			continue
		}
		cause, found := byID[rec.Links.CausedBy]
		other := rec.PreemptingEnvelopeID + rec.ConflictingEnvelopeID
		if !found || cause.Decision != audit.Applied || cause.EnvelopeID != other || cause.TenantID != rec.TenantID {
			t.Fatalf("%+v is caused by %+v", rec, cause)
		}
	}
	n := len(recs)
	for field, parts := range map[string]int{"target": 2, "code, policy, actor, action": 4, "any of these": 4, "cause": 8, "details": 5, "trace": 8} {
		if got := stated[field]; got < n/parts*3/4 || got > n/parts*5/4 {
			t.Errorf("%d of %d records state %s, want about 1 of %d", got, n, field, parts)
		}
	}
	if stated["any of these"] != stated["code, policy, actor, action"] {
		t.Errorf("stated: %v", stated)
	}
}
