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

	// DefaultMaxEvidence is the number of audit ids listed as evidence of a number.
	DefaultMaxEvidence = 20

	// MaxEvidence bounds [SignalQuery.MaxEvidence].
	MaxEvidence = 1000

	// MaxPreemptionCycles is the number of cycles in [PreemptionCycles.Heaviest].
	MaxPreemptionCycles = 100

	// MaxPreemptionEdges is the number of pairs of envelopes, the most frequent ones, in which
	// [PreemptionCycles] are looked for.
	MaxPreemptionEdges = 200_000
)

// Unresolved is the class in a [Friction] of a counterpart whose class is not known. No
// record holds it.
const Unresolved EnvelopeClass = "UNRESOLVED"

// SignalQuery selects the signals to look for. A threshold of 0 stands for its default.
type SignalQuery struct {
	// Scope says whose records the query sees. Required.
	Scope Scope

	// Window bounds the decision time. Defaults to all of time.
	Window Window

	// MinRecords is the number of records that a class needs to get a rejection rate.
	// Defaults to 3.
	MinRecords int

	// MinCycles is the number of cycles that make an [Oscillation]. Defaults to 2.
	MinCycles int

	// MinConflicts is the number of conflicts between two classes that make a [Friction].
	// Defaults to 3.
	MinConflicts int

	// MinRejections is the number of rejections that make a repeated rejection. Defaults
	// to 3.
	MinRejections int

	// MaxEvidence is the maximum number of audit ids in one [Evidence], 1 to 1,000.
	// Defaults to 20.
	MaxEvidence int
}

// Signals is the input of the learning side for one window. All of it is of one moment.
// Each list is sorted by its number, the largest first, then by its key.
type Signals struct {
	// Window is the query's window, in microseconds.
	Window Window

	RejectionRates []RejectionRate
	Oscillations   []Oscillation
	Friction       []Friction

	// SelfConflicts counts the records in which an envelope conflicts with itself. They
	// are no friction between classes.
	SelfConflicts SelfConflicts

	RepeatedRejections          []RepeatedRejection
	RepeatedParameterRejections []RepeatedParameterRejection

	// PreemptionCycles are the circles in which envelopes preempt each other.
	PreemptionCycles PreemptionCycles
}

// PreemptionCycles are the preemption cycles of a window. They are the simple cycles of 2 to 5
// envelopes of one tenant in which each envelope was preempted by the next one at least once
// in the window, and the last one by the first, in any order of time. An envelope that is
// preempted by itself makes none.
type PreemptionCycles struct {
	// Heaviest are those with the most turns, at most [MaxPreemptionCycles]. Of those with
	// equally many, the shorter ones come first, then by tenant and envelopes in byte order.
	Heaviest []PreemptionCycle

	// Total is the number of all of them. If AtLeast is set there may be more: the search is
	// bounded. None of those has more turns than any of Heaviest.
	Total   int64
	AtLeast bool
}

// PreemptionCycle is a circle of envelopes that preempt each other.
type PreemptionCycle struct {
	TenantID string

	// Turns is how often the cycle may have turned: the smallest number of preemptions of its
	// steps. It cannot have turned more often.
	Turns int64

	// Steps are its envelopes. Each was preempted by that of the next step, and the last one
	// by the first, which is the first in byte order.
	Steps []PreemptionStep
}

// PreemptionStep is one envelope of a cycle, and its preemptions by the next one.
type PreemptionStep struct {
	EnvelopeID  string
	Preemptions int64

	// FirstSeen and LastSeen are the earliest and the latest time of these preemptions.
	FirstSeen time.Time
	LastSeen  time.Time

	// Evidence is these preemptions.
	Evidence Evidence
}

// Evidence identifies the records behind a number.
type Evidence struct {
	// AuditIDs are the ids of the newest of these records, newest first, at most
	// [SignalQuery.MaxEvidence].
	AuditIDs []uuid.UUID

	// Records is the number of these records.
	Records int64
}

// TopReasonCode is the most frequent reason code of the records behind a number.
type TopReasonCode struct {
	// ReasonCode is the code, the first in byte order of several that are equally frequent.
	// It is empty if no record states one.
	ReasonCode string

	// Records is the number of records that state it.
	Records int64
}

// RejectionRate is the share of a class's records that are REJECTED.
type RejectionRate struct {
	EnvelopeClass EnvelopeClass
	Rejected      int64
	Total         int64

	// FirstSeen and LastSeen are the earliest and the latest decision time of the class's
	// records.
	FirstSeen time.Time
	LastSeen  time.Time

	// Evidence is the rejected records.
	Evidence Evidence

	// TopReasonCode is the most frequent code of the rejected records.
	TopReasonCode TopReasonCode
}

// Rate is Rejected / Total, 0 to 1.
func (r RejectionRate) Rate() float64 {
	if r.Total == 0 {
		return 0
	}
	return float64(r.Rejected) / float64(r.Total)
}

// Oscillation is an envelope that is preempted and applied again, several times. Take its
// APPLIED and PREEMPTED records of the window in their order: a cycle is a PREEMPTED one
// that is followed by an APPLIED one.
type Oscillation struct {
	TenantID   string
	EnvelopeID string
	Cycles     int64

	// PreemptingEnvelopes counts the cycles by preemptor. The counts add up to Cycles.
	PreemptingEnvelopes map[string]int64

	// FirstPreempted is when the first cycle began, and LastReapplied is when the last one
	// ended.
	FirstPreempted time.Time
	LastReapplied  time.Time

	// Evidence is the two records of each cycle.
	Evidence Evidence
}

// Friction counts the conflicts that one class lost to another: its REJECTED records that
// name a conflicting envelope, and its PREEMPTED records.
type Friction struct {
	// EnvelopeClass is the class that was rejected or preempted.
	EnvelopeClass EnvelopeClass

	// CounterpartClass is the class of the conflicting envelope or the preemptor. It is
	// the class that the record states. Otherwise it is the class in the other envelope's
	// latest earlier record of the same tenant that has a class other than [Unknown].
	// Otherwise it is [Unresolved].
	CounterpartClass EnvelopeClass

	// Conflicts = Rejected + Preempted.
	Conflicts int64
	Rejected  int64
	Preempted int64

	Evidence      Evidence
	TopReasonCode TopReasonCode
}

// SelfConflicts counts the records in which an envelope conflicts with itself.
type SelfConflicts struct {
	Conflicts     int64
	Evidence      Evidence
	TopReasonCode TopReasonCode
}

// RepeatedRejection is an envelope that was REJECTED several times.
type RepeatedRejection struct {
	TenantID      string
	EnvelopeID    string
	Rejections    int64
	FirstSeen     time.Time
	LastSeen      time.Time
	Evidence      Evidence
	TopReasonCode TopReasonCode
}

// RepeatedParameterRejection is a parameter over which envelopes were REJECTED several
// times. Only records that state their target count.
type RepeatedParameterRejection struct {
	TenantID        string
	TargetSubsystem string
	TargetParameter string
	Rejections      int64

	// CounterpartClasses counts the rejections by the stated class of the conflicting
	// envelope. Rejections that state none are not counted.
	CounterpartClasses map[EnvelopeClass]int64

	FirstSeen     time.Time
	LastSeen      time.Time
	Evidence      Evidence
	TopReasonCode TopReasonCode
}

// WithDefaults returns the query with its zeros replaced by the defaults.
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
