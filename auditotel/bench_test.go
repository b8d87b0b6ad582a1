package auditotel_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

// The cost of one observation for its caller.
func BenchmarkObservePersist(b *testing.B) {
	stored := audit.Observation{AuditID: uuid.New(), EnvelopeClass: audit.Safety, Outcome: audit.Persisted, Attempts: 1, Duration: time.Millisecond}
	failed := stored
	failed.Outcome = ""
	failed.Err = &audit.PersistError{AuditID: stored.AuditID, SQLState: "53300", Err: audit.ErrUnavailable}

	b.Run("off", func(b *testing.B) {
		observer, err := auditotel.NewObserver(auditotel.Config{MeterProvider: noopmetric.NewMeterProvider(), TracerProvider: nooptrace.NewTracerProvider()})
		if err != nil {
			b.Fatal(err)
		}
		benchmark(b, observer, stored)
	})
	b.Run("metrics/stored", func(b *testing.B) { benchmark(b, newTelemetry(b, auditotel.Config{}).observer, stored) })
	b.Run("metrics/failed", func(b *testing.B) { benchmark(b, newTelemetry(b, auditotel.Config{}).observer, failed) })
	b.Run("span/past the parent's most", func(b *testing.B) { benchmarkInSpan(b, 1, stored) })
	b.Run("span", func(b *testing.B) { benchmarkInSpan(b, 1<<60, stored) })
}

func benchmark(b *testing.B, observer *auditotel.Observer, observation audit.Observation) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		observer.ObservePersist(b.Context(), observation)
	}
}

func benchmarkInSpan(b *testing.B, most int, observation audit.Observation) {
	b.Helper()
	test := newTelemetry(b, auditotel.Config{SpansPerParent: most})
	ctx, span := test.tracers.Tracer("test").Start(b.Context(), "request")
	defer span.End()
	b.ReportAllocs()
	for b.Loop() {
		test.observer.ObservePersist(ctx, observation)
		test.spans.Reset()
	}
}
