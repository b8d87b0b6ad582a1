package coordinator_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
)

// The predecessor's records contain neither the parameter over which two envelopes
// conflict nor the class of the other envelope.
func TestRecordsHaveContext(t *testing.T) {
	t.Parallel()
	pool := database(t)
	store := newStore(pool)
	c := coordinator.New(pool, store, coordinator.Config{Clock: clock})
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

// Each decision can be followed to its cause, also after an envelope has renewed its hold.
func TestRecordsNameTheirCause(t *testing.T) {
	t.Parallel()
	pool := database(t)
	store := newStore(pool)
	c := coordinator.New(pool, store, coordinator.Config{Instance: "coordinator-1", Clock: clock})
	for _, env := range []coordinator.Envelope{
		envelope("fast", audit.Performance, retries),
		envelope("cheap", audit.Cost, retries),
		envelope("fast", audit.Performance, retries),
		envelope("cheap", audit.Cost, retries),
		envelope("fast", audit.Performance, retries),
	} {
		apply(t, c, env)
	}

	type caused struct {
		Envelope, Code string
		Cause          int // its place in the trail, from 1
		Round          int // its first record, likewise
	}
	place, rounds := map[uuid.UUID]int{}, map[string]int{}
	var records []audit.Record
	for rec, err := range store.All(t.Context(), audit.Query{Scope: audit.Tenant("acme"), Order: audit.OldestFirst}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, rec)
		place[rec.AuditID] = len(records)
		if rounds[rec.Links.CorrelationID] == 0 {
			rounds[rec.Links.CorrelationID] = len(records)
		}
		if rec.Actor != "coordinator-1" || rec.PolicyVersion != coordinator.PolicyVersion {
			t.Errorf("decided by %q by the rules %q", rec.Actor, rec.PolicyVersion)
		}
	}
	var got []caused
	for _, rec := range records {
		got = append(got, caused{rec.EnvelopeID, rec.ReasonCode, place[rec.Links.CausedBy], rounds[rec.Links.CorrelationID]})
	}
	want := []caused{
		{"fast", coordinator.ParameterFree, 0, 1},
		{"fast", coordinator.Outranked, 3, 2},
		{"cheap", coordinator.OutranksHolder, 0, 2},
		{"fast", coordinator.SameParameter, 3, 4},
		{"cheap", coordinator.Renewed, 0, 5},
		{"fast", coordinator.SameParameter, 5, 6},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
