package audit

import "time"

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
