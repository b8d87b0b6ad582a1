package audit

import (
	"time"

	"github.com/google/uuid"
)

// The bounds of an [Explanation]. They keep it fast on a trail of any size.
const (
	// ExplanationReach is how far from a decision the preemptor's own decision may lie if no
	// link names it. A coordinator makes both in one step.
	ExplanationReach = time.Minute

	// MeetingReach is how far from the decision [Meetings] look, to both sides.
	MeetingReach = 7 * 24 * time.Hour

	// GapReach is how far from the decision [NearbyLosses] look for gaps, to both sides.
	GapReach = time.Hour

	// MaxExplained is how many records of one envelope are looked through for one answer.
	MaxExplained = 1000

	// MaxCauses is how many links of caused_by are followed.
	MaxCauses = 8

	// MaxRelated is the maximum number of records in a [Related].
	MaxRelated = 10
)

// Explanation says why a decision was made, as far as the trail can tell: the dominant
// reason, its evidence, what came after, and what may be missing. All of it is of one moment.
//
// It holds records of the scope only. What lies outside is absent, as if it were not stored.
type Explanation struct {
	// Record is the decision that is explained.
	Record Record

	// Cause is the dominant reason.
	Cause Cause

	// Counterpart is the envelope that the record names: the preemptor, or the one that held
	// what this one wanted.
	Counterpart Counterpart

	// Causes are the records that caused_by leads to, from the record's own link on, at most
	// [MaxCauses]. CausesEnd says where they end.
	Causes    []Record
	CausesEnd CausesEnd

	// Displaced are the PREEMPTED records whose [Counterpart] is this APPLIED record, by link or
	// by rule, the oldest first.
	Displaced Related

	// Next is the envelope's next APPLIED or PREEMPTED record, among its next [MaxExplained]
	// records. It is nil if there is none.
	Next *Record

	// Meetings counts how often the two envelopes met. It is zero if the record names none.
	Meetings Meetings

	// Corrections are the records that correct this one, the oldest first.
	Corrections Related

	// Corrected is the record that this one corrects. It is nil if it names none, or if that
	// one is absent.
	Corrected *Record

	// Losses are signs that other records near it are missing.
	Losses NearbyLosses

	// NextStep is what to look at next.
	NextStep NextStep
}

// Cause is the dominant reason of a decision.
type Cause string

// The causes.
const (
	// CauseFree: the envelope was applied, and preempted none as far as is on record.
	CauseFree Cause = "FREE"

	// CauseOutranks: the envelope was applied, and took the place of others.
	CauseOutranks Cause = "OUTRANKS"

	// CausePreempted: another envelope took its place.
	CausePreempted Cause = "PREEMPTED"

	// CauseHeld: another envelope held what it wanted.
	CauseHeld Cause = "HELD"

	// CauseItself: the record names its own envelope.
	CauseItself Cause = "ITSELF"

	// CauseStated: the record names no other envelope. Its stated reason is all there is.
	CauseStated Cause = "STATED"
)

// Counterpart is the other envelope of a decision, and its own decision.
//
// That decision is the record that caused_by names, if it is one of the other envelope.
// Otherwise it is found by a rule, among the records of the same tenant. For a PREEMPTED
// record it is the preemptor's APPLIED record that is nearest in time, at most
// [ExplanationReach] away, and the later one of two that are equally near. For others it is
// the other envelope's latest APPLIED or PREEMPTED record before the decision, among its
// latest [MaxExplained] records. If that is a PREEMPTED one, the envelope held nothing on record.
type Counterpart struct {
	// EnvelopeID is the envelope that the record names. It is empty if it names none.
	EnvelopeID string

	// EnvelopeClass is its class: the one that the record states, or else that of Record. It
	// is empty if neither is known.
	EnvelopeClass EnvelopeClass

	// Record is the envelope's own decision. It is nil if it is absent.
	Record *Record

	// FoundBy says how Record was found. It is empty if Record is nil.
	FoundBy FoundBy
}

// FoundBy is how a counterpart's decision was found.
type FoundBy string

// The ways.
const (
	FoundByLink FoundBy = "CAUSED_BY"
	FoundByRule FoundBy = "RULE"
)

// CausesEnd says where the links of caused_by end.
type CausesEnd string

// The ends.
const (
	// CausesNone: the last record names no cause.
	CausesNone CausesEnd = "NONE"

	// CausesAbsent: the last record names a cause that this scope does not hold.
	CausesAbsent CausesEnd = "ABSENT"

	// CausesLoop: the last record names one that was followed already.
	CausesLoop CausesEnd = "LOOP"

	// CausesMore: there are more than [MaxCauses].
	CausesMore CausesEnd = "MORE"
)

// Related are records that name the explained one, at most [MaxRelated].
type Related struct {
	Records []Record

	// More says that there may be more.
	More bool
}

// Meetings counts the conflicts of two envelopes of one tenant within [MeetingReach] of a
// decision, the decision itself included.
type Meetings struct {
	// Preempted and Rejected count those that the record's envelope lost to the other one.
	Preempted, Rejected int64

	// PreemptedOther and RejectedOther count those that the other one lost to it.
	PreemptedOther, RejectedOther int64

	// AtLeast says that one of the envelopes has more than [MaxExplained] records in that
	// time, of which only the latest were looked through.
	AtLeast bool
}

// Total returns the number of conflicts.
func (m Meetings) Total() int64 {
	return m.Preempted + m.Rejected + m.PreemptedOther + m.RejectedOther
}

// NearbyLosses are signs that records near a decision are missing. They are about all
// tenants together and hold no content of any.
type NearbyLosses struct {
	// Gaps are the gaps that overlap the time within [GapReach] of the decision, the latest
	// first, at most [MaxRelated]. GapsUnread means that the role may not read them.
	Gaps       []NearbyGap
	GapsUnread bool

	// Ordinals are numbers next to the record's own that its source gave, that no row stored
	// around it carries, and that no statement explains. They may be stored elsewhere:
	// [Completeness] tells. OrdinalsUnread means that they could not be looked for, although
	// the record has a number.
	Ordinals       []int64
	OrdinalsUnread bool
}

// NearbyGap is the part of a [Gap] that names no record.
type NearbyGap struct {
	GapID       uuid.UUID
	From, Until time.Time
	Records     int64
	Cause       string
}

// NextStep is what to look at after an explanation.
type NextStep string

// The steps.
const (
	// StepCorrection: read the correction first. What the record says is not the last word.
	StepCorrection NextStep = "READ_CORRECTION"

	// StepLosses: find out what is missing near it, since evidence may be.
	StepLosses NextStep = "CHECK_COMPLETENESS"

	// StepPair: the two envelopes meet again and again. Look at the cycles and oscillations.
	StepPair NextStep = "SEPARATE_PAIR"

	// StepCounterpart: look at the other envelope's own decision.
	StepCounterpart NextStep = "EXPLAIN_COUNTERPART"

	// StepTimeline: look at the envelope's timeline.
	StepTimeline NextStep = "READ_TIMELINE"
)
