package format

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A time.Duration holds 292 years, and a trail may hold more.
func TestApart(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{at, "at the same time"},
		{at.Add(961 * time.Microsecond), "961µs later"},
		{at.Add(-90 * time.Minute), "1h30m before"},
		{at.Add(48*time.Hour - time.Second), "47h59m59s later"},
		{at.Add(-72 * time.Hour), "3 days before"},
		{at.AddDate(500, 0, 0), "182621 days later"},
		{at.AddDate(-500, 0, 0), "182622 days before"},
		{audit.InfiniteFuture(), "at infinity"},
	} {
		if got := apart(test.at, at); got != test.want {
			t.Errorf("%s is %q, want %q", test.at, got, test.want)
		}
	}
}
