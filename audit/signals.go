package audit

import (
	"cmp"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The defaults and bounds of a [SignalQuery].
const (
	DefaultMinRecords    = 3
	DefaultMinCycles     = 2
	DefaultMinConflicts  = 3
	DefaultMinRejections = 3

	// DefaultMaxEvidence is how many audit ids stand behind a number.
	DefaultMaxEvidence = 20

	// MaxEvidence bounds [SignalQuery.MaxEvidence].
	MaxEvidence = 1000

	// MaxTrendWindows bounds [TrendQuery.Windows].
	MaxTrendWindows = 1000

	defaultTrendWindows = 2 // one, and one to compare it with
)

// Unresolved stands in a [Friction] for the class of an envelope that nothing is
// known of. No record holds it.
const Unresolved EnvelopeClass = "UNRESOLVED"

// SignalQuery says which signals to look for. A threshold that is 0 stands for
// its default.
type SignalQuery struct {
	// Scope says whose records are seen. Required.
	Scope Scope

	// Window bounds the decisions' time. Defaults to all of it.
	Window Window

	// MinRecords is how many records a class needs for its rejection rate to say
	// anything. Defaults to 3.
	MinRecords int

	// MinCycles is from how many cycles on an envelope oscillates. Defaults to 2.
	MinCycles int

	// MinConflicts is from how many conflicts on two classes rub. Defaults to 3.
	MinConflicts int

	// MinRejections is from how many rejections on they are repeated. Defaults to 3.
	MinRejections int

	// MaxEvidence is the most audit ids in one [Evidence], up to 1,000. Defaults to 20.
	MaxEvidence int
}

// Signals is what the learning side reads in a window. All of it is of one
// moment. Each list is sorted by its number, the largest first, and then by its
// key.
type Signals struct {
	// Window is the window that was asked for.
	Window Window

	RejectionRates []RejectionRate
	Oscillations   []Oscillation
	Friction       []Friction

	// SelfConflicts counts the records in which an envelope met itself, which are
	// no friction between classes.
	SelfConflicts SelfConflicts

	RepeatedRejections          []RepeatedRejection
	RepeatedParameterRejections []RepeatedParameterRejection
}

// Evidence is the records behind a number.
type Evidence struct {
	// AuditIDs are the newest of them, the newest first, at most
	// [SignalQuery.MaxEvidence].
	AuditIDs []uuid.UUID

	// Records is how many there are.
	Records int64
}

// RejectionRate is the share of a class's records that were REJECTED.
type RejectionRate struct {
	EnvelopeClass EnvelopeClass
	Rejected      int64
	Total         int64

	// FirstSeen and LastSeen are the earliest and the latest decision time of the
	// class's records.
	FirstSeen time.Time
	LastSeen  time.Time

	// Evidence is the rejected records.
	Evidence Evidence
}

// Rate is Rejected / Total, 0 to 1.
func (r RejectionRate) Rate() float64 {
	if r.Total == 0 {
		return 0
	}
	return float64(r.Rejected) / float64(r.Total)
}

// Oscillation is an envelope that is put out and comes back, again and again.
// Among its APPLIED and PREEMPTED records of the window, in their order, a cycle
// is a PREEMPTED one whose next one is APPLIED.
type Oscillation struct {
	TenantID   string
	EnvelopeID string
	Cycles     int64

	// PreemptingEnvelopes counts the cycles by the envelope that put it out; they
	// add up to Cycles.
	PreemptingEnvelopes map[string]int64

	// FirstPreempted and LastReapplied are when the first cycle began and the last
	// one ended.
	FirstPreempted time.Time
	LastReapplied  time.Time

	// Evidence is the two records of each cycle.
	Evidence Evidence
}

// Friction is how often a class had to give way to another: REJECTED records
// that name a conflicting envelope, and PREEMPTED ones with their preempting one.
type Friction struct {
	// EnvelopeClass is the class that gave way.
	EnvelopeClass EnvelopeClass

	// CounterpartClass is the other envelope's class: what the record states, or
	// else the class of the other envelope's latest earlier record of the same tenant
	// with a class other than [Unknown], or else [Unresolved].
	CounterpartClass EnvelopeClass

	// Conflicts = Rejected + Preempted.
	Conflicts int64
	Rejected  int64
	Preempted int64

	Evidence Evidence
}

// SelfConflicts counts the conflicts of envelopes with themselves.
type SelfConflicts struct {
	Conflicts int64
	Evidence  Evidence
}

// RepeatedRejection is an envelope that was REJECTED again and again.
type RepeatedRejection struct {
	TenantID   string
	EnvelopeID string
	Rejections int64
	FirstSeen  time.Time
	LastSeen   time.Time
	Evidence   Evidence
}

// RepeatedParameterRejection is a parameter over which envelopes were REJECTED
// again and again. It is known of records that state their target.
type RepeatedParameterRejection struct {
	TenantID        string
	TargetSubsystem string
	TargetParameter string
	Rejections      int64

	// CounterpartClasses counts the rejections by the stated class of the envelope
	// that stood in the way. Where none is stated, none is counted.
	CounterpartClasses map[EnvelopeClass]int64

	FirstSeen time.Time
	LastSeen  time.Time
	Evidence  Evidence
}

// TrendQuery asks for the rejection rates of adjacent windows.
type TrendQuery struct {
	// Scope says whose records are seen. Required.
	Scope Scope

	// Window is the last one. Both of its bounds are required.
	Window Window

	// Windows is how many there are, all of the same length, 1 to 1,000. Defaults
	// to 2: the window and the one before it.
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

// WithDefaults returns the query with its defaults in the places of zeros.
func (q SignalQuery) WithDefaults() SignalQuery {
	q.MinRecords = cmp.Or(q.MinRecords, DefaultMinRecords)
	q.MinCycles = cmp.Or(q.MinCycles, DefaultMinCycles)
	q.MinConflicts = cmp.Or(q.MinConflicts, DefaultMinConflicts)
	q.MinRejections = cmp.Or(q.MinRejections, DefaultMinRejections)
	q.MaxEvidence = cmp.Or(q.MaxEvidence, DefaultMaxEvidence)
	return q
}

// Validate is [Query.Validate] for signals.
func (q SignalQuery) Validate() error {
	if err := q.Scope.Validate(); err != nil {
		return err
	}
	var faults faultList
	faults.window(q.Window)
	faults.threshold("min_records", q.MinRecords)
	faults.threshold("min_cycles", q.MinCycles)
	faults.threshold("min_conflicts", q.MinConflicts)
	faults.threshold("min_rejections", q.MinRejections)
	faults.evidence(q.MaxEvidence)
	return faults.queryErr()
}

// WithDefaults returns the query with its defaults in the places of zeros.
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
		faults.add("windows", "are so many that the first would begin before the year 1")
	}
	faults.threshold("min_records", q.MinRecords)
	faults.evidence(q.MaxEvidence)
	return faults.queryErr()
}

// beginsBeforeYear1 reckons in floats: a thousand windows of a thousand years are
// more than a time.Duration holds.
func (q TrendQuery) beginsBeforeYear1() bool {
	w, before := q.Window.Normalized(), max(q.WithDefaults().Windows-1, 0)
	length := float64(w.Until.UnixMicro() - w.Since.UnixMicro())
	return float64(w.Since.UnixMicro())-float64(before)*length < float64(time.Time{}.UnixMicro())
}

func (l *faultList) threshold(field string, n int) {
	if n < 0 {
		l.add(field, "must not be negative; 0 stands for the default")
	}
}

func (l *faultList) evidence(n int) {
	if n < 0 || n > MaxEvidence {
		l.add("max_evidence", fmt.Sprintf("must be 1 to %d, or 0 for %d", MaxEvidence, DefaultMaxEvidence))
	}
}
