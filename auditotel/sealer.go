package auditotel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/hoc-analytics/coordaudit/audit"
)

// sealerNamespace is the prefix of all metrics of a sealer.
const sealerNamespace = "coordaudit.sealer."

// Sealer is what [RegisterSealer] needs of a sealer: that of package sealer. It is not named
// here, so that a service that does not seal compiles none of that package.
type Sealer interface {
	Stats() audit.SealerStats
}

// RegisterSealer exports the state of sealer as metrics. It reads the Stats once for each
// collection. Ages are those at the time of the collection.
//
// A nil provider means otel.GetMeterProvider(). Sealers of several trails in one process need
// attributes that distinguish them. RegisterSealer returns an error if the provider refuses
// an instrument. Unregister the registration when the sealer has stopped for good.
func RegisterSealer(provider metric.MeterProvider, sealer Sealer, attributes ...attribute.KeyValue) (metric.Registration, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	made, err := newSealerInstruments(meter)
	if err != nil {
		return nil, err
	}
	registered := time.Now()
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	registration, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		made.observe(to, sealer.Stats(), registered, set)
		return nil
	}, made.all()...)
	if err != nil {
		return nil, fmt.Errorf("registering a sealer's metrics: %w", err)
	}
	return registration, nil
}

// sealerInstruments are the metrics of a sealer's Stats. Who blocks it is in its log.
type sealerInstruments struct {
	leaves, epoch, lag, awaited, standby, failed    metric.Int64ObservableGauge
	unsealedAge, checkpointAge, lookAge, blockedAge metric.Float64ObservableGauge
}

func newSealerInstruments(meter metric.Meter) (*sealerInstruments, error) {
	made := &sealerInstruments{}
	var errs []error
	// Those that count nothing have no unit, because Prometheus calls a gauge of unit 1 a ratio.
	for _, gauge := range []struct {
		made                    *metric.Int64ObservableGauge
		name, unit, description string
	}{
		{&made.leaves, "leaves", "{row}", "Size of the log, as of the last checkpoint that is known to be exported."},
		{&made.epoch, "epoch", "", "Epoch of the log."},
		{&made.lag, "lag.records", "{record}", "Records that were given a seq after the last sealed one."},
		{&made.awaited, "awaited.records", "{record}", "Seqs that an open transaction may still commit, which the sealer went around."},
		{&made.standby, "standby", "", "1 if another sealer is at work and this one waits to take over, else 0."},
		{&made.failed, "failed", "", "1 if the last round failed, else 0. A sealer on standby has not failed."},
	} {
		var err error
		*gauge.made, err = meter.Int64ObservableGauge(sealerNamespace+gauge.name, metric.WithUnit(gauge.unit), metric.WithDescription(gauge.description))
		errs = append(errs, err)
	}
	for _, gauge := range []struct {
		made              *metric.Float64ObservableGauge
		name, description string
	}{
		{&made.unsealedAge, "unsealed.age", "How long ago the oldest committed row that is not sealed was stored. 0 if every one is sealed."},
		{&made.checkpointAge, "checkpoint.age", "How long ago the sealer exported its last checkpoint. It is missing before the first one."},
		{&made.lookAge, "look.age", "How long ago the sealer last read how far the trail has come."},
		{&made.blockedAge, "blocked.age", "For how long the oldest transaction that is open has held up the sealer. 0 if none does."},
	} {
		var err error
		*gauge.made, err = meter.Float64ObservableGauge(sealerNamespace+gauge.name, metric.WithUnit("s"), metric.WithDescription(gauge.description))
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("making a sealer's metrics: %w", err)
	}
	return made, nil
}

func (i *sealerInstruments) all() []metric.Observable {
	return []metric.Observable{
		i.leaves, i.epoch, i.lag, i.awaited, i.standby, i.failed,
		i.unsealedAge, i.checkpointAge, i.lookAge, i.blockedAge,
	}
}

func (i *sealerInstruments) observe(to metric.Observer, stats audit.SealerStats, registered time.Time, set metric.ObserveOption) {
	to.ObserveInt64(i.leaves, stats.Size, set)
	to.ObserveInt64(i.epoch, stats.Epoch, set)
	to.ObserveInt64(i.lag, stats.Lag, set)
	to.ObserveInt64(i.awaited, stats.Awaited, set)
	to.ObserveInt64(i.standby, oneIf(stats.Standby), set)
	to.ObserveInt64(i.failed, oneIf(stats.Err != nil && !stats.Standby), set)
	to.ObserveFloat64(i.unsealedAge, secondsSince(stats.UnsealedSince), set)
	to.ObserveFloat64(i.blockedAge, secondsSince(stats.BlockedSince), set)
	if !stats.SealedAt.IsZero() {
		to.ObserveFloat64(i.checkpointAge, secondsSince(stats.SealedAt), set)
	}
	looked := stats.LookedAt
	if looked.IsZero() { // it must grow although the sealer never came so far
		looked = registered
	}
	to.ObserveFloat64(i.lookAge, secondsSince(looked), set)
}

// secondsSince returns how long ago a time is, and 0 for the zero time.
func secondsSince(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, time.Since(at).Seconds())
}
