package audit

import (
	"cmp"
	"fmt"
	"time"
)

// The bounds of a [TrendQuery].
const (
	// MaxTrendWindows bounds [TrendQuery.Windows].
	MaxTrendWindows = 1000

	defaultTrendWindows = 2 // one, and one to compare it with
)

// TrendQuery asks for the rejection rates of adjacent windows.
type TrendQuery struct {
	// Scope says whose records the query sees. Required.
	Scope Scope

	// Window is the last window. Both of its bounds are required.
	Window Window

	// Windows is the number of windows, all of the same length, 1 to 1,000. Defaults to 2:
	// the window and the one before it.
	Windows int

	// MinRecords and MaxEvidence are those of [SignalQuery].
	MinRecords  int
	MaxEvidence int
}

// WindowRates are the rejection rates of one window of a trend.
type WindowRates struct {
	Window         Window
	RejectionRates []RejectionRate
}

// WithDefaults returns the query with its zeros replaced by the defaults.
func (q TrendQuery) WithDefaults() TrendQuery {
	q.Windows = cmp.Or(q.Windows, defaultTrendWindows)
	q.MinRecords = cmp.Or(q.MinRecords, DefaultMinRecords)
	q.MaxEvidence = cmp.Or(q.MaxEvidence, DefaultMaxEvidence)
	return q
}

// Validate is [Query.Validate] for a trend.
func (q TrendQuery) Validate() error {
	if err := q.Scope.Validate(); err != nil {
		return err
	}
	var faults faultList
	faults.window(q.Window)
	if q.Window.Since.IsZero() {
		faults.add(fieldSince, "is required: a trend's windows have a length")
	}
	if q.Window.Until.IsZero() {
		faults.add(fieldUntil, "is required: a trend's windows have a length")
	}
	if w := q.Window.Normalized(); len(faults) == 0 && !w.Since.Before(w.Until) {
		faults.add(fieldSince, "must lie before until: a trend's windows have a length")
	}
	if q.Windows < 0 || q.Windows > MaxTrendWindows {
		faults.add("windows", fmt.Sprintf("must be 1 to %d, or 0 for %d", MaxTrendWindows, defaultTrendWindows))
	} else if len(faults) == 0 && q.beginsBeforeYear1() {
		faults.add("windows", "reach back beyond the year 1: ask for fewer, or for a shorter window")
	}
	faults.threshold("min_records", q.MinRecords)
	faults.evidence(q.MaxEvidence)
	return faults.queryErr()
}

// beginsBeforeYear1 computes in floats: a thousand windows of a thousand years do not
// fit into a time.Duration.
func (q TrendQuery) beginsBeforeYear1() bool {
	w, before := q.Window.Normalized(), max(q.WithDefaults().Windows-1, 0)
	length := float64(w.Until.UnixMicro() - w.Since.UnixMicro())
	return float64(w.Since.UnixMicro())-float64(before)*length < float64(time.Time{}.UnixMicro())
}
