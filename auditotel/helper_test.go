package auditotel_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

const (
	secretReason = "a confidential reason"
	secretTenant = "a-confidential-tenant"
)

func newRecord(class audit.EnvelopeClass) audit.Record {
	return audit.Record{
		AuditID:           uuid.New(),
		EnvelopeID:        "a-confidential-envelope",
		EnvelopeClass:     class,
		Decision:          audit.Applied,
		Reason:            secretReason,
		DecisionTimestamp: time.Now(),
		TenantID:          secretTenant,
	}
}

// telemetry is the observer of one test, with its metrics and spans.
type telemetry struct {
	observer *auditotel.Observer
	reader   *sdkmetric.ManualReader
	spans    *tracetest.SpanRecorder
	tracers  *sdktrace.TracerProvider
}

func newTelemetry(tb testing.TB, config auditotel.Config) *telemetry {
	tb.Helper()
	test := &telemetry{reader: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	test.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(test.spans))
	config.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(test.reader))
	if config.TracerProvider == nil {
		config.TracerProvider = test.tracers
	}
	observer, err := auditotel.NewObserver(config)
	if err != nil {
		tb.Fatal(err)
	}
	test.observer = observer
	return test
}

func metricsOnly(tb testing.TB) *telemetry {
	tb.Helper()
	return newTelemetry(tb, auditotel.Config{TracerProvider: nooptrace.NewTracerProvider()})
}

func (test *telemetry) storeConfig() coordaudit.Config {
	return coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Observer: test.observer, Retries: -1}
}

// inSpan runs a function in a parent span and returns the spans that it created.
func (test *telemetry) inSpan(ctx context.Context, run func(ctx context.Context)) (parent sdktrace.ReadOnlySpan, children []sdktrace.ReadOnlySpan) {
	ctx, span := test.tracers.Tracer("test").Start(ctx, "request")
	run(ctx)
	span.End()
	for _, ended := range test.spans.Ended() {
		switch {
		case ended.SpanContext().SpanID() == span.SpanContext().SpanID():
			parent = ended
		case ended.Parent().SpanID() == span.SpanContext().SpanID():
			children = append(children, ended)
		}
	}
	return parent, children
}

// collect returns every metric by its name.
func collect(tb testing.TB, reader *sdkmetric.ManualReader) map[string]metricdata.Metrics {
	tb.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		tb.Fatal(err)
	}
	byName := map[string]metricdata.Metrics{}
	for _, scope := range collected.ScopeMetrics {
		for _, of := range scope.Metrics {
			if _, twice := byName[of.Name]; twice {
				tb.Errorf("metric %s is collected twice", of.Name)
			}
			byName[of.Name] = of
		}
	}
	return byName
}

// values returns a metric's values by the values of its attributes, in the order of
// their keys. For a histogram they are the counts. Zeros are left out.
func values(tb testing.TB, of metricdata.Metrics) map[string]int64 {
	tb.Helper()
	got := map[string]int64{}
	add := func(attributes attribute.Set, n int64) {
		var texts []string
		for _, kv := range attributes.ToSlice() {
			texts = append(texts, kv.Value.String())
		}
		if n != 0 {
			got[strings.Join(texts, " ")] += n
		}
	}
	switch data := of.Data.(type) {
	case metricdata.Sum[int64]:
		for _, point := range data.DataPoints {
			add(point.Attributes, point.Value)
		}
	case metricdata.Gauge[int64]:
		for _, point := range data.DataPoints {
			add(point.Attributes, point.Value)
		}
	case metricdata.Histogram[int64]:
		for _, point := range data.DataPoints {
			add(point.Attributes, int64(point.Count))
		}
	case metricdata.Histogram[float64]:
		for _, point := range data.DataPoints {
			add(point.Attributes, int64(point.Count))
		}
	default:
		tb.Fatalf("metric %s is a %T", of.Name, of.Data)
	}
	return got
}

// gauges returns the value of each metric, all of which are gauges. Those of seconds are in
// whole hours.
func gauges(t *testing.T, reader *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	for name, metrics := range collect(t, reader) {
		switch data := metrics.Data.(type) {
		case metricdata.Gauge[int64]:
			got[name] = data.DataPoints[0].Value
		case metricdata.Gauge[float64]:
			got[name] = int64(data.DataPoints[0].Value) / 3600
		default:
			t.Errorf("%s is a %T", name, data)
		}
	}
	return got
}
