package auditotel_test

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestFollowerMetrics(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	observe, registration, err := auditotel.RegisterFollower(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), attribute.String("follower", "siem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		lag  audit.FollowLag
		want [3]int64 // records, age, blocked
	}{
		{audit.FollowLag{}, [3]int64{}},
		{audit.FollowLag{Since: 9 * time.Hour}, [3]int64{}}, // nothing is to come
		{audit.FollowLag{Records: 3, Since: 2 * time.Hour, BlockedBy: []string{"process 1"}, BlockedSince: time.Now().Add(-time.Hour)}, [3]int64{3, 2, 1}},
	} {
		observe(test.lag)
		got := gauges(t, reader)
		if records, age, blocked := got["coordaudit.follower.lag.records"], got["coordaudit.follower.lag.age"], got["coordaudit.follower.blocked.age"]; records != test.want[0] || age != test.want[1] || blocked != test.want[2] {
			t.Errorf("%+v: %v, want %v", test.lag, got, test.want)
		}
	}
	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if left := collect(t, reader); len(left) != 0 {
		t.Errorf("after unregistering, %d metrics", len(left))
	}
}

// A follower of a real trail tells its observer.
func TestFollowerOfTrail(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	observe, registration, err := auditotel.RegisterFollower(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = registration.Unregister() }()
	store := coordaudit.New(testdb.New(t).Pool, fixture.Quiet())
	fixture.MustPersist(t, store, fixture.NewRecord())
	told := make(chan audit.FollowLag, 1)
	q := audit.FollowQuery{Scope: audit.AllTenants(), Observe: func(lag audit.FollowLag) {
		observe(lag)
		select {
		case told <- lag:
		default:
		}
	}, PollInterval: time.Millisecond}
	for rec, err := range store.Follow(t.Context(), q) {
		if err != nil || rec.EnvelopeID == "" {
			t.Fatal(err)
		}
		if len(told) > 0 {
			break
		}
		fixture.MustPersist(t, store, fixture.NewRecord())
	}
	if got := gauges(t, reader); got["coordaudit.follower.look.age"] != 0 {
		t.Errorf("%v", got)
	}
}
