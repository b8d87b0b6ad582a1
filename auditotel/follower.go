package auditotel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/hoc-analytics/coordaudit/audit"
)

// followerNamespace is the prefix of all metrics of a follower.
const followerNamespace = "coordaudit.follower."

// RegisterFollower exports how far a follower of the trail is behind. Set observe as
// [audit.FollowQuery.Observe], or call it with [audit.FollowPage.Lag] after each page. Ages
// are those at the time of the collection, so they grow while a follower cannot look.
//
// A nil provider means otel.GetMeterProvider(). Several followers in one process need
// attributes that distinguish them. RegisterFollower returns an error if the provider refuses
// an instrument. Unregister the registration when the follower has ended for good.
func RegisterFollower(provider metric.MeterProvider, attributes ...attribute.KeyValue) (observe func(audit.FollowLag), registration metric.Registration, err error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	made, err := newFollowerInstruments(meter)
	if err != nil {
		return nil, nil, err
	}
	latest := &latestLag{at: time.Now()}
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	registration, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		lag, at := latest.get()
		made.observe(to, lag, at, set)
		return nil
	}, made.lag, made.lagAge, made.blockedAge, made.lookAge)
	if err != nil {
		return nil, nil, fmt.Errorf("registering a follower's metrics: %w", err)
	}
	return latest.set, registration, nil
}

// latestLag is what the follower said last, and when. Before that, it is when it was
// registered: its age must grow although the follower never came so far.
type latestLag struct {
	mu  sync.Mutex
	lag audit.FollowLag
	at  time.Time
}

func (l *latestLag) set(lag audit.FollowLag) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lag, l.at = lag, time.Now()
}

func (l *latestLag) get() (audit.FollowLag, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lag, l.at
}

// followerInstruments are the metrics of a follower. Who blocks it is in its log.
type followerInstruments struct {
	lag                         metric.Int64ObservableGauge
	lagAge, blockedAge, lookAge metric.Float64ObservableGauge
}

func newFollowerInstruments(meter metric.Meter) (*followerInstruments, error) {
	made := &followerInstruments{}
	var errs []error
	var err error
	made.lag, err = meter.Int64ObservableGauge(followerNamespace+"lag.records", metric.WithUnit("{record}"),
		metric.WithDescription("Seqs that were given and may still bring a record, as of the last look."))
	errs = append(errs, err)
	for _, gauge := range []struct {
		made              *metric.Float64ObservableGauge
		name, description string
	}{
		{&made.lagAge, "lag.age", "How long ago the follower had delivered everything. 0 if it has."},
		{&made.blockedAge, "blocked.age", "For how long the oldest open transaction that the follower went around holds back its own records. 0 if none does."},
		{&made.lookAge, "look.age", "How long ago the follower last looked for new records."},
	} {
		*gauge.made, err = meter.Float64ObservableGauge(followerNamespace+gauge.name, metric.WithUnit("s"), metric.WithDescription(gauge.description))
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("making a follower's metrics: %w", err)
	}
	return made, nil
}

func (i *followerInstruments) observe(to metric.Observer, lag audit.FollowLag, at time.Time, set metric.ObserveOption) {
	to.ObserveInt64(i.lag, lag.Records, set)
	age := 0.0
	if lag.Records > 0 {
		age = lag.Since.Seconds() + secondsSince(at)
	}
	to.ObserveFloat64(i.lagAge, age, set)
	to.ObserveFloat64(i.blockedAge, secondsSince(lag.BlockedSince), set)
	to.ObserveFloat64(i.lookAge, secondsSince(at), set)
}
