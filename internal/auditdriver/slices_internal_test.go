package auditdriver

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
)

// width_bucket takes rising times only. The first slice begins with the window, so none is without one.
func TestSlicesCoverWindow(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		window audit.Window
		want   int
	}{
		"a moment":   {audit.Window{Since: at, Until: at.Add(time.Microsecond)}, 1},
		"a minute":   {audit.Window{Since: at.Add(-time.Minute), Until: at}, 4},
		"a week":     {audit.Window{Since: at.AddDate(0, 0, -7), Until: at}, 11},
		"ages":       {audit.Window{Since: at.AddDate(-200, 0, 0), Until: at}, maxSlices},
		"no end":     {audit.Window{Since: at.AddDate(-200, 0, 0)}, maxSlices},
		"no start":   {audit.Window{Until: at}, maxSlices},
		"open":       {audit.Window{}, maxSlices},
		"the future": {audit.Window{Since: time.Now().AddDate(100, 0, 0)}, 1},
	} {
		starts := slicesOf(test.window)
		rising := slices.IsSortedFunc(starts, func(a, b pgtype.Timestamptz) int { return fromPGTime(a).Compare(fromPGTime(b)) })
		since, _ := bounds(test.window)
		if len(starts) != test.want || !rising || starts[0] != toPGTime(since) {
			t.Errorf("%s: %v, want %d rising times from %s", name, starts, test.want, since)
		}
	}
}
