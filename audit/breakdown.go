package audit

import (
	"cmp"
	"fmt"
	"time"
)

// The bounds of a [Breakdown].
const (
	// MaxReasons bounds the reasons that are counted one by one.
	MaxReasons = 1000

	// MaxReasonCodes bounds the reason codes that are counted one by one.
	MaxReasonCodes = 1000
)

// BreakdownQuery selects the records of a [Breakdown].
type BreakdownQuery struct {
	// Scope says whose records the query sees. Required.
	Scope Scope

	// Window bounds the decision time. Defaults to all of time.
	Window Window
}

// Breakdown counts the records of a window in several ways. All counts are of one
// moment, so they add up even while records are being stored.
type Breakdown struct {
	// Window is the query's window, in microseconds.
	Window Window

	// Total is the number of records.
	Total int64

	// FirstSeen and LastSeen are the earliest and the latest decision time. Both are
	// zero if there is no record.
	FirstSeen time.Time
	LastSeen  time.Time

	// MaxActiveEnvelopes is the largest ActiveEnvelopesCount of these records.
	MaxActiveEnvelopes int32

	// ByClassDecision has an entry for every class and decision that occurs.
	ByClassDecision map[EnvelopeClass]map[Decision]int64

	// ByTenant has an entry for every tenant that occurs. "" stands for no tenant.
	ByTenant map[string]int64

	// ByDay has an entry for every day with records, the earliest first.
	ByDay []DayCount

	// ByReason holds the [MaxReasons] most frequent reasons. OtherReasons counts the
	// records with other ones.
	ByReason     map[string]int64
	OtherReasons int64

	// ByReasonCode holds the [MaxReasonCodes] most frequent reason codes, each by decision.
	// OtherReasonCodes counts the records with other ones. Records that state none are in
	// neither.
	ByReasonCode     map[string]map[Decision]int64
	OtherReasonCodes int64

	// ByParameter counts the records that state their target, by class and target. It is
	// sorted by class, subsystem and parameter.
	ByParameter []ParameterCount
}

// DayCount counts the records of one day.
type DayCount struct {
	// Day is the day's midnight in UTC. [InfinitePast] and [InfiniteFuture] are days of
	// their own.
	Day time.Time

	ByClass map[EnvelopeClass]int64
}

// Total is the number of records of the day.
func (c DayCount) Total() int64 {
	var total int64
	for _, n := range c.ByClass {
		total += n
	}
	return total
}

// ParameterCount counts one class's records about one parameter, by decision.
type ParameterCount struct {
	EnvelopeClass   EnvelopeClass
	TargetSubsystem string
	TargetParameter string
	ByDecision      map[Decision]int64
}

// Validate is [Query.Validate] for a breakdown.
func (q BreakdownQuery) Validate() error {
	if err := q.Scope.Validate(); err != nil {
		return err
	}
	var faults faultList
	faults.window(q.Window)
	return faults.queryErr()
}

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
