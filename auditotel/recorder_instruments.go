package auditotel

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// recorderInstruments are the metrics of a recorder's Stats, one for each field. The
// outcomes share one.
type recorderInstruments struct {
	accepted       metric.Int64ObservableCounter
	finished       metric.Int64ObservableCounter
	refused        metric.Int64ObservableCounter
	queueDepth     metric.Int64ObservableUpDownCounter
	queueSize      metric.Int64ObservableUpDownCounter
	queueAge       metric.Float64ObservableGauge
	spoolDepth     metric.Int64ObservableUpDownCounter
	spoolSize      metric.Int64ObservableUpDownCounter
	available      metric.Int64ObservableGauge
	batches        metric.Int64ObservableCounter
	batchedRecords metric.Int64ObservableCounter
	flushTime      metric.Float64ObservableCounter
	retries        metric.Int64ObservableCounter
	failovers      metric.Int64ObservableCounter
	skippedHooks   metric.Int64ObservableCounter
}

func newRecorderInstruments(meter metric.Meter) (*recorderInstruments, error) {
	of := recorderMeter{meter: meter}
	made := &recorderInstruments{
		accepted:       of.counter("accepted.records", "{record}", "Records that the recorder accepted, those found in its spool included."),
		finished:       of.counter("finished.records", "{record}", "Accepted records that are no longer queued or spooled, by outcome."),
		refused:        of.counter("refused.records", "{record}", "Records that the recorder did not accept: invalid, or submitted after it was closed."),
		queueDepth:     of.upDownCounter("queue.depth", "{record}", "Records in memory, those on their way to the database included."),
		queueSize:      of.upDownCounter("queue.size", "By", "Memory that the queued records are counted with."),
		spoolDepth:     of.upDownCounter("spool.depth", "{record}", "Records in the spool, waiting for the database."),
		spoolSize:      of.upDownCounter("spool.size", "By", "Size of the spool's segments on disk."),
		batches:        of.counter("batches", "{batch}", "Batches that were stored."),
		batchedRecords: of.counter("batched.records", "{record}", "Records of the batches that were stored."),
		retries:        of.counter("retries", "{batch}", "Batches that failed and were tried again later."),
		failovers:      of.counter("failovers", "{failover}", "Times that the writes went to another server than before."),
		skippedHooks:   of.counter("skipped.hooks", "{call}", "Calls of the Observer and the log handler that were skipped because earlier ones did not return."),
	}
	var age, available, flushTime error
	made.queueAge, age = meter.Float64ObservableGauge(recorderNamespace+"queue.age", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest queued record has been waiting."))
	// Without a unit, because Prometheus calls a gauge of unit 1 a ratio.
	made.available, available = meter.Int64ObservableGauge(recorderNamespace+"available",
		metric.WithDescription("1 if the last thing the database did was to answer, else 0."))
	made.flushTime, flushTime = meter.Float64ObservableCounter(recorderNamespace+"flush.time", metric.WithUnit("s"),
		metric.WithDescription("How long the batches that were stored took together."))
	if err := errors.Join(of.err, age, available, flushTime); err != nil {
		return nil, fmt.Errorf("making a recorder's metrics: %w", err)
	}
	return made, nil
}

func (i *recorderInstruments) all() []metric.Observable {
	return []metric.Observable{
		i.accepted, i.finished, i.refused, i.queueDepth, i.queueSize, i.queueAge, i.spoolDepth,
		i.spoolSize, i.available, i.batches, i.batchedRecords, i.flushTime, i.retries, i.failovers, i.skippedHooks,
	}
}

// recorderNamespace is the prefix of all metrics of a recorder.
const recorderNamespace = "coordaudit.recorder."

// recorderMeter creates instruments and collects their errors.
type recorderMeter struct {
	meter metric.Meter
	err   error
}

func (m *recorderMeter) counter(name, unit, description string) metric.Int64ObservableCounter {
	made, err := m.meter.Int64ObservableCounter(recorderNamespace+name, metric.WithUnit(unit), metric.WithDescription(description))
	m.err = errors.Join(m.err, err)
	return made
}

func (m *recorderMeter) upDownCounter(name, unit, description string) metric.Int64ObservableUpDownCounter {
	made, err := m.meter.Int64ObservableUpDownCounter(recorderNamespace+name, metric.WithUnit(unit), metric.WithDescription(description))
	m.err = errors.Join(m.err, err)
	return made
}
