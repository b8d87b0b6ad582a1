package auditotel

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// The observer's metrics. The first two have the names that the predecessor
// documented. The others follow OpenTelemetry's conventions.
const (
	recordsName         = "coordination_audit_records"
	failuresName        = "coordination_audit_failures"
	persistDurationName = "coordaudit.persist.duration"
	flushDurationName   = "coordaudit.flush.duration"
	flushRecordsName    = "coordaudit.flush.records"
)

type instruments struct {
	records         metric.Int64Counter
	failures        metric.Int64Counter
	persistDuration metric.Float64Histogram
	flushDuration   metric.Float64Histogram
	flushRecords    metric.Int64Histogram
}

func newInstruments(meter metric.Meter) (instruments, error) {
	var made instruments
	var errs [5]error
	made.records, errs[0] = meter.Int64Counter(recordsName, metric.WithUnit("{record}"),
		metric.WithDescription("Submitted audit records, each counted once, when it ended."))
	made.failures, errs[1] = meter.Int64Counter(failuresName, metric.WithUnit("{record}"),
		metric.WithDescription("Audit records that were not stored, by kind of error."))
	made.persistDuration, errs[2] = meter.Float64Histogram(persistDurationName, metric.WithUnit("s"), durationBuckets(),
		metric.WithDescription("How long a record's call took, waiting and retries included; the records of one batch share it."))
	made.flushDuration, errs[3] = meter.Float64Histogram(flushDurationName, metric.WithUnit("s"), durationBuckets(),
		metric.WithDescription("How long the database took for a recorder's batch."))
	made.flushRecords, errs[4] = meter.Int64Histogram(flushRecordsName, metric.WithUnit("{record}"), recordBuckets(),
		metric.WithDescription("How many records a recorder's batch held."))
	if err := errors.Join(errs[:]...); err != nil {
		return instruments{}, fmt.Errorf("making the observer's metrics: %w", err)
	}
	return made, nil
}

// durationBuckets are those of db.client.operation.duration with finer steps, because
// a persist takes a quarter of a millisecond, and the default timeout is two seconds.
func durationBuckets() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
}

// recordBuckets end with the largest batch.
func recordBuckets() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
}
