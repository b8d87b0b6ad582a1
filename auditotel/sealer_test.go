package auditotel_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// The Sealer of package sealer is one.
var _ auditotel.Sealer = (*sealer.Sealer)(nil)

// sealing is a sealer that only has a state.
type sealing struct {
	stats audit.SealerStats
	asked int
}

func (s *sealing) Stats() audit.SealerStats {
	s.asked++
	return s.stats
}

// newSealing has a value in each field but Standby, which excludes a failure.
func newSealing() *sealing {
	now := time.Now()
	return &sealing{stats: audit.SealerStats{
		Epoch: 2, Size: 1234, SealedAt: now.Add(-1 * time.Hour), LookedAt: now.Add(-2 * time.Hour),
		Lag: 3, UnsealedSince: now.Add(-4 * time.Hour), Awaited: 5,
		BlockedBy: "process 6", BlockedSince: now.Add(-7 * time.Hour), Err: errors.New("refused"),
	}}
}

// sealerMetrics returns the value of each metric. Ages are in whole hours.
func sealerMetrics(t *testing.T, of *sealing, attributes ...attribute.KeyValue) map[string]int64 {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	registration, err := auditotel.RegisterSealer(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), of, attributes...)
	if err != nil {
		t.Fatal(err)
	}
	got := gauges(t, reader)
	if of.asked != 1 {
		t.Errorf("one collection read the state %d times, so its metrics are from several moments", of.asked)
	}
	if err := registration.Unregister(); err != nil {
		t.Error(err)
	}
	if left := collect(t, reader); len(left) != 0 {
		t.Errorf("after unregistering, %d metrics", len(left))
	}
	return got
}

func TestSealerMetrics(t *testing.T) {
	t.Parallel()
	want := map[string]int64{
		"coordaudit.sealer.leaves": 1234, "coordaudit.sealer.epoch": 2, "coordaudit.sealer.lag.records": 3, "coordaudit.sealer.awaited.records": 5,
		"coordaudit.sealer.standby": 0, "coordaudit.sealer.failed": 1,
		"coordaudit.sealer.checkpoint.age": 1, "coordaudit.sealer.look.age": 2, "coordaudit.sealer.unsealed.age": 4, "coordaudit.sealer.blocked.age": 7,
	}
	if diff := cmp.Diff(want, sealerMetrics(t, newSealing())); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// A new field of the state needs a metric, or a reason to have none, and a value in this test.
func TestSealerMetricsAreAll(t *testing.T) {
	t.Parallel()
	stats := reflect.ValueOf(newSealing().stats)
	for i := range stats.NumField() {
		if name := stats.Type().Field(i).Name; stats.Field(i).IsZero() != (name == "Standby") {
			t.Errorf("field %s has no value in this test", name)
		}
	}
}

// Where everything is sealed there is no lag, regardless of how old the last checkpoint is.
func TestSealerMetricsOfSealedTrail(t *testing.T) {
	t.Parallel()
	now := time.Now()
	got := sealerMetrics(t, &sealing{stats: audit.SealerStats{Epoch: 1, Size: 9, SealedAt: now.Add(-5 * time.Hour), LookedAt: now}})
	for name, n := range got {
		if want := map[string]int64{
			"coordaudit.sealer.leaves": 9, "coordaudit.sealer.epoch": 1, "coordaudit.sealer.checkpoint.age": 5,
		}[name]; n != want {
			t.Errorf("%s is %d, want %d", name, n, want)
		}
	}
}

// A sealer that waits for another one has not failed.
func TestSealerMetricsOfStandby(t *testing.T) {
	t.Parallel()
	got := sealerMetrics(t, &sealing{stats: audit.SealerStats{Standby: true, Err: sealer.ErrSealedElsewhere}})
	if got["coordaudit.sealer.standby"] != 1 || got["coordaudit.sealer.failed"] != 0 {
		t.Errorf("%v, want one that waits and has not failed", got)
	}
}

// A sealer that has never come so far as to look at the trail shows how long that is, and no
// age of a checkpoint that it has not exported.
func TestSealerMetricsBeforeTheFirstRound(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	if _, err := auditotel.RegisterSealer(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), &sealing{}, attribute.String("trail", "eu")); err != nil {
		t.Fatal(err)
	}
	metrics := collect(t, reader)
	if _, ok := metrics["coordaudit.sealer.checkpoint.age"]; ok {
		t.Error("a checkpoint that was never made has an age")
	}
	first := metrics["coordaudit.sealer.look.age"].Data.(metricdata.Gauge[float64]).DataPoints[0]
	second := collect(t, reader)["coordaudit.sealer.look.age"].Data.(metricdata.Gauge[float64]).DataPoints[0]
	if first.Value <= 0 || first.Value > 3600 || second.Value <= first.Value {
		t.Errorf("it has looked %v s ago, and then %v s", first.Value, second.Value)
	}
	if trail, _ := first.Attributes.Value("trail"); trail.AsString() != "eu" {
		t.Errorf("attributes %v", first.Attributes)
	}
}
