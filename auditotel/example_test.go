package auditotel_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func ExampleNewObserver() {
	ctx := context.Background()
	db, drop, err := testdb.ForExample(ctx) // your service has its pool
	if err != nil {
		log.Fatal(err)
	}
	defer drop()
	reader := sdkmetric.NewManualReader() // your service has an exporter
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	observer, err := auditotel.NewObserver(auditotel.Config{MeterProvider: provider})
	if err != nil {
		log.Fatal(err)
	}
	store := coordaudit.New(db.Pool, coordaudit.Config{Observer: observer, Logger: slog.New(slog.DiscardHandler)})
	if _, err := store.Persist(ctx, audit.Record{
		EnvelopeID: "retry-backoff-7", EnvelopeClass: audit.Reliability, Decision: audit.Applied,
		Reason: "nothing stood in its way", DecisionTimestamp: time.Now(),
	}); err != nil {
		log.Fatal(err)
	}

	printMetric(ctx, reader, "coordination_audit_records")
	// Output:
	// RELIABILITY persisted 1
}

// Enqueue has no context, so the record takes the trace along.
func ExampleFill() {
	traceID, _ := trace.TraceIDFromHex("4bf92f3577b34da6a3ce929d0e0e4736")
	spanID, _ := trace.SpanIDFromHex("00f067aa0ba902b7")
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, // your service's middleware starts a span
		SpanID:  spanID,
	}))
	rec := audit.Record{
		EnvelopeID: "retry-backoff-7", EnvelopeClass: audit.Reliability, Decision: audit.Applied,
		Reason: "nothing stood in its way", DecisionTimestamp: time.Now(),
	}

	auditotel.Fill(ctx, &rec) // then recorder.Enqueue(rec)

	fmt.Println(rec.Origin.TraceID, rec.Origin.SpanID)
	// Output:
	// 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7
}

// A recorder's counts are read at each collection of metrics.
func ExampleRegisterRecorder() {
	ctx := context.Background()
	reader := sdkmetric.NewManualReader() // your service has an exporter
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	recorder := newCounting() // your service has a recorder

	registration, err := auditotel.RegisterRecorder(provider, recorder)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }()

	printMetric(ctx, reader, "coordaudit.recorder.queue.depth")
	// Output:
	// SAFETY 4
}

// printMetric prints the nonzero values of one metric.
func printMetric(ctx context.Context, reader *sdkmetric.ManualReader, name string) {
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		log.Fatal(err)
	}
	for _, scope := range collected.ScopeMetrics {
		for _, of := range scope.Metrics {
			sum, ok := of.Data.(metricdata.Sum[int64])
			if !ok || of.Name != name {
				continue
			}
			for _, point := range sum.DataPoints {
				if point.Value == 0 {
					continue
				}
				for _, kv := range point.Attributes.ToSlice() {
					fmt.Print(kv.Value.String(), " ")
				}
				fmt.Println(point.Value)
			}
		}
	}
}
