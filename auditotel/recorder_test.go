package auditotel_test

import (
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
)

// counting is a recorder that only has counts.
type counting struct {
	stats audit.RecorderStats
	asked atomic.Int64
}

func (c *counting) Stats() audit.RecorderStats {
	c.asked.Add(1)
	return c.stats
}

func newCounting() *counting {
	return &counting{stats: audit.RecorderStats{
		ByClass: map[audit.EnvelopeClass]audit.RecorderCounts{
			audit.Safety: {Accepted: 28, Persisted: 1, AlreadyPersisted: 2, Skipped: 3, Queued: 4, Spooled: 5, Rejected: 6, Dropped: 7},
			audit.Cost:   {Accepted: 100, Persisted: 100},
		},
		Refused:        8,
		QueueBytes:     9,
		OldestAge:      10500 * time.Millisecond,
		Available:      true,
		Batches:        11,
		BatchedRecords: 12,
		FlushDuration:  13500 * time.Millisecond,
		Retries:        14,
		SpoolBytes:     15,
		Failovers:      16,
		SkippedHooks:   17,
	}}
}

func register(t *testing.T, recorder auditotel.Recorder, attributes ...attribute.KeyValue) (reader *sdkmetric.ManualReader, unregister func()) {
	t.Helper()
	reader = sdkmetric.NewManualReader()
	registration, err := auditotel.RegisterRecorder(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), recorder, attributes...)
	if err != nil {
		t.Fatal(err)
	}
	return reader, func() {
		if err := registration.Unregister(); err != nil {
			t.Error(err)
		}
	}
}

func TestRecorderMetrics(t *testing.T) {
	t.Parallel()
	recorder := newCounting()
	reader, _ := register(t, recorder)

	metrics := collect(t, reader)

	want := map[string]map[string]int64{
		"coordaudit.recorder.accepted.records": {"SAFETY": 28, "COST": 100},
		"coordaudit.recorder.finished.records": {
			"SAFETY persisted": 1, "SAFETY already_persisted": 2, "SAFETY skipped": 3, "SAFETY rejected": 6, "SAFETY dropped": 7, "COST persisted": 100,
		},
		"coordaudit.recorder.queue.depth":     {"SAFETY": 4},
		"coordaudit.recorder.spool.depth":     {"SAFETY": 5},
		"coordaudit.recorder.refused.records": {"": 8},
		"coordaudit.recorder.queue.size":      {"": 9},
		"coordaudit.recorder.available":       {"": 1},
		"coordaudit.recorder.batches":         {"": 11},
		"coordaudit.recorder.batched.records": {"": 12},
		"coordaudit.recorder.retries":         {"": 14},
		"coordaudit.recorder.spool.size":      {"": 15},
		"coordaudit.recorder.failovers":       {"": 16},
		"coordaudit.recorder.skipped.hooks":   {"": 17},
	}
	got := map[string]map[string]int64{}
	for name, of := range metrics {
		if name != "coordaudit.recorder.queue.age" && name != "coordaudit.recorder.flush.time" {
			got[name] = values(t, of)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	age := metrics["coordaudit.recorder.queue.age"].Data.(metricdata.Gauge[float64]).DataPoints
	flushing := metrics["coordaudit.recorder.flush.time"].Data.(metricdata.Sum[float64]).DataPoints
	if age[0].Value != 10.5 || flushing[0].Value != 13.5 {
		t.Errorf("the oldest is %v s old, want 10.5; batches took %v s, want 13.5", age[0].Value, flushing[0].Value)
	}
	if n := recorder.asked.Load(); n != 1 {
		t.Errorf("one collection read the counts %d times, so its metrics are from several moments", n)
	}
}

// A new field of the Stats needs a metric, and a value in this test.
func TestRecorderMetricsAreAll(t *testing.T) {
	t.Parallel()
	stats := reflect.ValueOf(newCounting().stats)
	for i := range stats.NumField() {
		if stats.Field(i).IsZero() {
			t.Errorf("field %s has no value in this test", stats.Type().Field(i).Name)
		}
	}
}

func TestRecorderMetricsAddUp(t *testing.T) {
	t.Parallel()
	reader, _ := register(t, newCounting())
	metrics := collect(t, reader)
	byClass := func(name string) map[string]int64 {
		sums := map[string]int64{}
		for _, point := range metrics["coordaudit.recorder."+name].Data.(metricdata.Sum[int64]).DataPoints {
			class, _ := point.Attributes.Value("coordaudit.class")
			sums[class.AsString()] += point.Value
		}
		return sums
	}
	accepted, rest := byClass("accepted.records"), byClass("finished.records")
	if len(accepted) != len(audit.EnvelopeClasses()) {
		t.Errorf("classes are missing: %v", accepted)
	}
	for _, name := range []string{"queue.depth", "spool.depth"} {
		for class, n := range byClass(name) {
			rest[class] += n
		}
	}
	if diff := cmp.Diff(accepted, rest); diff != "" {
		t.Errorf("accepted differs from the sum of its outcomes (-accepted +rest):\n%s", diff)
	}
}

func TestUnavailableIsZero(t *testing.T) {
	t.Parallel()
	recorder := newCounting()
	recorder.stats.Available = false
	reader, _ := register(t, recorder)
	points := collect(t, reader)["coordaudit.recorder.available"].Data.(metricdata.Gauge[int64]).DataPoints
	if len(points) != 1 || points[0].Value != 0 {
		t.Errorf("available is %v, want one 0", points)
	}
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	recorder := newCounting()
	reader, unregister := register(t, recorder)
	collect(t, reader)
	unregister()
	asked := recorder.asked.Load()
	if metrics := collect(t, reader); len(metrics) != 0 || recorder.asked.Load() != asked {
		t.Errorf("after unregistering, %d metrics and %d more reads", len(metrics), recorder.asked.Load()-asked)
	}
}

func TestRecorderAttributes(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	for _, name := range []string{"eu", "us"} {
		if _, err := auditotel.RegisterRecorder(provider, newCounting(), attribute.String("region", name)); err != nil {
			t.Fatal(err)
		}
	}
	metrics := collect(t, reader)
	for name, want := range map[string]map[string]int64{
		"coordaudit.recorder.queue.depth": {"SAFETY eu": 4, "SAFETY us": 4},
		"coordaudit.recorder.batches":     {"eu": 11, "us": 11},
	} {
		if diff := cmp.Diff(want, values(t, metrics[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
