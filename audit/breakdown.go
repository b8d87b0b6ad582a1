package audit

import "time"

// MaxReasons is how many reasons a [Breakdown] tells apart.
const MaxReasons = 1000

// BreakdownQuery says which records to break down.
type BreakdownQuery struct {
	// Scope says whose records are seen. Required.
	Scope Scope

	// Window bounds the decisions' time. Defaults to all of it.
	Window Window
}

// Breakdown counts the records of a window, one way and another. Its numbers are
// of one moment: they add up, whatever is stored meanwhile.
type Breakdown struct {
	// Window is the window that was asked for.
	Window Window

	// Total is how many records there are.
	Total int64

	// FirstSeen and LastSeen are the earliest and the latest decision time; zero if
	// there is no record.
	FirstSeen time.Time
	LastSeen  time.Time

	// MaxActiveEnvelopes is the most envelopes that were active after a decision.
	MaxActiveEnvelopes int32

	// ByClassDecision has an entry for every class and decision that occurs.
	ByClassDecision map[EnvelopeClass]map[Decision]int64

	// ByTenant has an entry for every tenant that occurs; "" stands for none.
	ByTenant map[string]int64

	// ByDay has an entry for every day that has records, in their order.
	ByDay []DayCount

	// ByReason holds the [MaxReasons] most frequent reasons. Records with other ones
	// are counted in OtherReasons.
	ByReason     map[string]int64
	OtherReasons int64

	// ByParameter counts the records that state their target, by class and target,
	// sorted so.
	ByParameter []ParameterCount
}

// DayCount counts the records of one day.
type DayCount struct {
	// Day is its midnight, UTC.
	Day time.Time

	ByClass map[EnvelopeClass]int64
}

// Total is how many records the day has.
func (c DayCount) Total() int64 {
	var total int64
	for _, n := range c.ByClass {
		total += n
	}
	return total
}

// ParameterCount counts the records of one class about one parameter.
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
