package auditotel_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

// The test is not parallel, because it counts the allocations of the whole process.
func TestObservationAllocs(t *testing.T) { //nolint:paralleltest // see above
	test := metricsOnly(t)
	ctx := t.Context()
	observation := audit.Observation{EnvelopeClass: audit.Safety, Outcome: audit.Persisted, Attempts: 1, Duration: time.Millisecond}
	if n := testing.AllocsPerRun(1000, func() { test.observer.ObservePersist(ctx, observation) }); n > 0 {
		t.Errorf("an observation allocates %v times", n)
	}
}

// The test is not parallel, for the same reason.
func TestFillAllocs(t *testing.T) { //nolint:paralleltest // see above
	ctx := trace.ContextWithSpanContext(t.Context(), spanContext(trace.TraceID{1}, trace.SpanID{1}))
	rec := newRecord(audit.Safety)
	if n := testing.AllocsPerRun(1000, func() {
		rec.Origin = audit.Origin{}
		auditotel.Fill(ctx, &rec)
	}); n > 0 {
		t.Errorf("Fill allocates %v times", n)
	}
}
