package coordinator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
)

// The predecessor's records told neither which parameter two envelopes quarrelled
// over nor what the other one was for.
func TestRecordsStateTheirTargetAndTheirCounterpart(t *testing.T) {
	t.Parallel()
	pool := database(t)
	store := newStore(pool)
	c := coordinator.New(pool, store, clock)
	for _, env := range []coordinator.Envelope{
		envelope("fast", audit.Performance, retries),
		envelope("cheap", audit.Cost, retries),
		envelope("fast", audit.Performance, retries),
		envelope("mystery", "", batches),
	} {
		apply(t, c, env)
	}

	type context struct {
		Envelope    string
		Decision    audit.Decision
		Subsystem   string
		Parameter   string
		Counterpart audit.EnvelopeClass
	}
	var got []context
	for rec, err := range store.All(t.Context(), audit.Query{Scope: audit.Tenant("acme"), Order: audit.OldestFirst}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, context{rec.EnvelopeID, rec.Decision, rec.TargetSubsystem, rec.TargetParameter, rec.CounterpartClass})
	}
	want := []context{
		{"fast", applied, "retry", "max_attempts", ""},
		{"fast", preempted, "retry", "max_attempts", audit.Cost},
		{"cheap", applied, "retry", "max_attempts", ""},
		{"fast", rejected, "retry", "max_attempts", audit.Cost},
		{"mystery", rejected, "scheduler", "batch_size", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
