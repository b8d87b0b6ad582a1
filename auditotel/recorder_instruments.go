package auditotel

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// recorderInstruments are the metrics of a recorder's Stats, one for each of their
// fields but the outcomes, which share one.
type recorderInstruments struct {
	accepted        metric.Int64ObservableCounter
	settled         metric.Int64ObservableCounter
	refused         metric.Int64ObservableCounter
	queueDepth      metric.Int64ObservableUpDownCounter
	queueSize       metric.Int64ObservableUpDownCounter
	queueAge        metric.Float64ObservableGauge
	deadLetterDepth metric.Int64ObservableUpDownCounter
	deadLetterSize  metric.Int64ObservableUpDownCounter
	available       metric.Int64ObservableGauge
	batches         metric.Int64ObservableCounter
	batchedRecords  metric.Int64ObservableCounter
	flushTime       metric.Float64ObservableCounter
	retries         metric.Int64ObservableCounter
}

func newRecorderInstruments(meter metric.Meter) (*recorderInstruments, error) {
	of := recorderMeter{meter: meter}
	made := &recorderInstruments{
		accepted:        of.counter("accepted.records", "{record}", "Records that the recorder accepted, those found in its dead-letter directory included."),
		settled:         of.counter("settled.records", "{record}", "Accepted records that are neither queued nor dead-lettered any more, by outcome."),
		refused:         of.counter("refused.records", "{record}", "Records that the recorder did not accept: invalid, or handed in after it was closed."),
		queueDepth:      of.upDownCounter("queue.depth", "{record}", "Records in memory, those on their way to the database included."),
		queueSize:       of.upDownCounter("queue.size", "By", "Memory that the queued records are counted with."),
		deadLetterDepth: of.upDownCounter("dead_letter.depth", "{record}", "Records in the dead-letter directory, waiting for the database."),
		deadLetterSize:  of.upDownCounter("dead_letter.size", "By", "Size of the dead-letter directory's segments on disk."),
		batches:         of.counter("batches", "{batch}", "Batches that were stored."),
		batchedRecords:  of.counter("batched.records", "{record}", "Records of the batches that were stored."),
		retries:         of.counter("retries", "{batch}", "Batches that failed and were tried again later."),
	}
	var age, available, flushTime error
	made.queueAge, age = meter.Float64ObservableGauge(recorderNamespace+"queue.age", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest queued record has been waiting."))
	// Without a unit: a gauge of unit 1 is a ratio for Prometheus, by name.
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
		i.accepted, i.settled, i.refused, i.queueDepth, i.queueSize, i.queueAge, i.deadLetterDepth,
		i.deadLetterSize, i.available, i.batches, i.batchedRecords, i.flushTime, i.retries,
	}
}

// recorderNamespace begins the name of each of a recorder's metrics.
const recorderNamespace = "coordaudit.recorder."

// recorderMeter makes instruments and keeps what went wrong.
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
