package auditotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/hoc-analytics/coordaudit/audit"
)

// scope is the instrumentation scope of all metrics and spans.
const scope = "github.com/hoc-analytics/coordaudit/auditotel"

var _ audit.RecorderObserver = (*Observer)(nil)

// Config sets where telemetry goes. The zero value is ready for use.
type Config struct {
	// TracerProvider gets the spans. Defaults to otel.GetTracerProvider().
	TracerProvider trace.TracerProvider

	// MeterProvider gets the metrics. Defaults to otel.GetMeterProvider().
	MeterProvider metric.MeterProvider

	// SpansPerParent bounds the spans of stored records that one parent span gets, and
	// likewise those of failed ones. It does not bound metrics. Negative means no
	// spans. Defaults to 16.
	SpansPerParent int

	// FlushTraces makes each batch of a recorder a trace of its own, if the tracer's
	// sampler accepts it. A batch has no parent, because it belongs to no caller. A
	// busy recorder sends hundreds a second. Defaults to false.
	FlushTraces bool
}

func (c Config) withDefaults() Config {
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.SpansPerParent == 0 {
		c.SpansPerParent = 16
	}
	return c
}

// Observer turns observations into metrics and spans. Set it as a store's Observer. A
// recorder uses its store's. One Observer serves any number of stores. It is safe for
// concurrent use and needs no closing.
type Observer struct {
	instruments instruments
	endings     endings
	flushes     flushSets
	tracer      trace.Tracer
	budget      *budget
	flushTraces bool
}

// NewObserver returns an observer. It returns an error if the MeterProvider refuses an
// instrument.
func NewObserver(config Config) (*Observer, error) {
	config = config.withDefaults()
	made, err := newInstruments(config.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL)))
	if err != nil {
		return nil, err
	}
	observer := &Observer{
		instruments: made,
		endings:     newEndings(),
		flushes:     newFlushSets(),
		tracer:      config.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		budget:      newBudget(config.SpansPerParent),
		flushTraces: config.FlushTraces,
	}
	observer.startAtZero()
	return observer, nil
}

// startAtZero creates every series of the two counters. Prometheus sees an increase
// only in a series that existed before, and the first failure must count.
func (o *Observer) startAtZero() {
	ctx := context.Background()
	for _, class := range o.endings.byClass {
		for _, succeeded := range class.succeeded {
			o.instruments.records.Add(ctx, 0, succeeded.record...)
		}
		for _, failed := range class.failed {
			o.instruments.records.Add(ctx, 0, failed.record...)
			o.instruments.failures.Add(ctx, 0, failed.failure...)
		}
	}
}

// ObservePersist counts one record and measures its duration. Under a parent that
// records, it also creates the record's span. It does not block and does no I/O of its
// own.
func (o *Observer) ObservePersist(ctx context.Context, observation audit.Observation) {
	end := o.endings.of(observation)
	o.instruments.records.Add(ctx, 1, end.record...)
	if end.failure != nil {
		o.instruments.failures.Add(ctx, 1, end.failure...)
	}
	o.instruments.persistDuration.Record(ctx, observation.Duration.Seconds(), end.duration...)
	o.tracePersist(ctx, observation, end)
}

// ObserveFlush measures one batch of a recorder. It does not count the batch's
// records, because ObservePersist is called for each of them.
func (o *Observer) ObserveFlush(ctx context.Context, flush audit.Flush) {
	set := o.flushes.of(flush)
	o.instruments.flushDuration.Record(ctx, flush.Duration.Seconds(), set.measured...)
	o.instruments.flushRecords.Record(ctx, int64(flush.Records), set.measured...)
	o.traceFlush(ctx, flush, set)
}
