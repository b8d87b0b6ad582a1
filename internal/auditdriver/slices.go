package auditdriver

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The newest slice of a window is a second long, and each older one ends where the next begins
// and reaches four times as far back. So a busy group has its evidence in a few short slices.
const (
	newestSlice = time.Second
	sliceFactor = 4
	maxSlices   = 14 // the oldest but one begins half a year back
)

// slicesOf returns the beginnings of a window's slices, rising, for width_bucket. They decide
// how many records are sorted for the evidence, never which ones it has. An open window ends
// now for that.
func slicesOf(window audit.Window) []pgtype.Timestamptz {
	since, until := bounds(window)
	if window.Until.IsZero() {
		until = time.Now()
	}
	starts := make([]pgtype.Timestamptz, 0, maxSlices)
	for length := newestSlice; len(starts) < maxSlices-1 && until.Add(-length).After(since); length *= sliceFactor {
		starts = append(starts, toPGTime(until.Add(-length)))
	}
	starts = append(starts, toPGTime(since))
	slices.Reverse(starts)
	return starts
}
