package auditotel

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Recorder is what [RegisterRecorder] needs of a recorder.
type Recorder interface {
	Stats() audit.RecorderStats
}

// RegisterRecorder exports all counts of recorder as metrics. It reads the Stats once
// for each collection, so that the metrics of one collection add up by class:
//
//	accepted.records = finished.records + queue.depth + spool.depth
//
// Unregister the registration after the recorder is closed and its last counts are
// collected. Until then the counts stay as they were at the end. A nil provider means
// otel.GetMeterProvider(). Several recorders in one process need attributes that
// distinguish them, and one recorder needs none. RegisterRecorder returns an error if
// the provider refuses an instrument.
func RegisterRecorder(provider metric.MeterProvider, recorder Recorder, attributes ...attribute.KeyValue) (metric.Registration, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	made, err := newRecorderInstruments(meter)
	if err != nil {
		return nil, err
	}
	sets := newRecorderSets(attributes)
	registration, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		made.observe(to, recorder.Stats(), sets)
		return nil
	}, made.all()...)
	if err != nil {
		return nil, fmt.Errorf("registering a recorder's metrics: %w", err)
	}
	return registration, nil
}

// The outcomes of finished records that only a recorder has.
const (
	rejectedOutcome = "rejected"
	droppedOutcome  = "dropped"
)

// recorderSets are the attributes of all observations of one recorder, created once.
type recorderSets struct {
	whole   []metric.ObserveOption
	byClass map[audit.EnvelopeClass]recorderClassSets
}

type recorderClassSets struct {
	class     []metric.ObserveOption
	byOutcome map[string][]metric.ObserveOption
}

func newRecorderSets(own []attribute.KeyValue) recorderSets {
	with := func(more ...attribute.KeyValue) []metric.ObserveOption {
		all := append(append([]attribute.KeyValue(nil), own...), more...)
		return []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(all...))}
	}
	sets := recorderSets{whole: with(), byClass: map[audit.EnvelopeClass]recorderClassSets{}}
	for _, class := range audit.EnvelopeClasses() {
		of := classKey.String(string(class))
		sets.byClass[class] = recorderClassSets{class: with(of), byOutcome: map[string][]metric.ObserveOption{}}
		for outcome := range finishedCounts(audit.RecorderCounts{}) {
			sets.byClass[class].byOutcome[outcome] = with(of, outcomeKey.String(outcome))
		}
	}
	return sets
}

// finishedCounts returns the counts of records that are final, by outcome.
func finishedCounts(counts audit.RecorderCounts) map[string]int64 {
	return map[string]int64{
		string(audit.Persisted):        counts.Persisted,
		string(audit.AlreadyPersisted): counts.AlreadyPersisted,
		string(audit.Skipped):          counts.Skipped,
		rejectedOutcome:                counts.Rejected,
		droppedOutcome:                 counts.Dropped,
	}
}

func (i *recorderInstruments) observe(to metric.Observer, stats audit.RecorderStats, sets recorderSets) {
	for class, of := range sets.byClass {
		counts := stats.ByClass[class]
		to.ObserveInt64(i.accepted, counts.Accepted, of.class...)
		to.ObserveInt64(i.queueDepth, counts.Queued, of.class...)
		to.ObserveInt64(i.spoolDepth, counts.Spooled, of.class...)
		for outcome, n := range finishedCounts(counts) {
			to.ObserveInt64(i.finished, n, of.byOutcome[outcome]...)
		}
	}
	to.ObserveInt64(i.refused, stats.Refused, sets.whole...)
	to.ObserveInt64(i.queueSize, stats.QueueBytes, sets.whole...)
	to.ObserveFloat64(i.queueAge, stats.OldestAge.Seconds(), sets.whole...)
	to.ObserveInt64(i.spoolSize, stats.SpoolBytes, sets.whole...)
	to.ObserveInt64(i.available, oneIf(stats.Available), sets.whole...)
	to.ObserveInt64(i.batches, stats.Batches, sets.whole...)
	to.ObserveInt64(i.batchedRecords, stats.BatchedRecords, sets.whole...)
	to.ObserveFloat64(i.flushTime, stats.FlushDuration.Seconds(), sets.whole...)
	to.ObserveInt64(i.retries, stats.Retries, sets.whole...)
	to.ObserveInt64(i.failovers, stats.Failovers, sets.whole...)
	to.ObserveInt64(i.skippedHooks, stats.SkippedHooks, sets.whole...)
}

func oneIf(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
