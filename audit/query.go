package audit

import (
	"fmt"
	"time"
)

// The bounds of a query.
const (
	// DefaultPageSize is how many records a page holds where [Query.Limit] is 0.
	DefaultPageSize = 100

	// MaxPageSize bounds [Query.Limit].
	MaxPageSize = 1000

	// MaxFilterIDs bounds [Query.EnvelopeIDs].
	MaxFilterIDs = 1000
)

// Order is the direction of a listing. Both are total orders: by the decision's
// time, and by seq where times are equal.
type Order int

// The orders.
const (
	NewestFirst Order = iota
	OldestFirst
)

// Query says which records to list or to count. Every filter that is set must
// hold; one that is empty lets all records pass.
type Query struct {
	// Scope says whose records are seen. Required.
	Scope Scope

	// Window bounds the decisions' time. Defaults to all of it.
	Window Window

	// EnvelopeIDs, if not empty, are the envelopes decided on, at most [MaxFilterIDs].
	EnvelopeIDs []string

	// EnvelopeClasses, if not empty, are the classes to see.
	EnvelopeClasses []EnvelopeClass

	// Decisions, if not empty, are the decisions to see.
	Decisions []Decision

	// ConflictingEnvelopeID and PreemptingEnvelopeID, if not empty, are the
	// envelopes that a record must name in these places.
	ConflictingEnvelopeID string
	PreemptingEnvelopeID  string

	// TargetSubsystem and TargetParameter, if not empty, are the target that a
	// record must state.
	TargetSubsystem string
	TargetParameter string

	// ReasonContains, if not empty, is a text that the reason must contain, letter
	// by letter. No index serves it.
	ReasonContains string

	// Order defaults to NewestFirst. Counting ignores it.
	Order Order

	// Limit is the most records on a page, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize]. Counting ignores it.
	Limit int

	// After is [Page.Next] of the page before; empty for the first page. Counting
	// ignores it.
	After Cursor
}

// Page is one page of a listing.
type Page struct {
	Records []Record

	// Next is what to pass as [Query.After] for the page that follows; empty if
	// there was none.
	Next Cursor
}

// Cursor is the place where a page ended, as an opaque text that may be kept and
// passed on. It works with the query that it came from, and is refused with
// another scope, filter, window or order; the limit may change. It grants
// nothing: whose records are seen is the query's to say.
//
// Pages are keyset pages: a record that was there when the first page was read
// comes exactly once, whatever is stored meanwhile. One that is stored meanwhile
// comes if its place lies ahead.
type Cursor string

// Validate reports a missing scope with [ErrNoScope], else every fault of the
// query in one [InvalidQueryError], or nil. Whether a cursor belongs to the query
// is seen when it is used.
func (q Query) Validate() error {
	if err := q.Scope.Validate(); err != nil {
		return err
	}
	var faults faultList
	faults.window(q.Window)
	if n := len(q.EnvelopeIDs); n > MaxFilterIDs {
		faults.add(fieldEnvelopeIDs, fmt.Sprintf("are %d, at most %d are allowed", n, MaxFilterIDs))
	}
	for i, id := range q.EnvelopeIDs {
		faults.requiredID(fmt.Sprintf("%s[%d]", fieldEnvelopeIDs, i), id)
	}
	for i, class := range q.EnvelopeClasses {
		if class == "" || !class.valid() {
			faults.add(fmt.Sprintf("%s[%d]", fieldEnvelopeClasses, i), classReason)
		}
	}
	for i, decision := range q.Decisions {
		if !decision.valid() {
			faults.add(fmt.Sprintf("%s[%d]", fieldDecisions, i), decisionReason)
		}
	}
	faults.optionalID(fieldConflictingEnvelopeID, q.ConflictingEnvelopeID)
	faults.optionalID(fieldPreemptingEnvelopeID, q.PreemptingEnvelopeID)
	faults.optionalID(fieldTargetSubsystem, q.TargetSubsystem)
	faults.optionalID(fieldTargetParameter, q.TargetParameter)
	faults.storable(fieldReasonContains, q.ReasonContains)
	if q.Order != NewestFirst && q.Order != OldestFirst {
		faults.add(fieldOrder, "must be NewestFirst or OldestFirst")
	}
	faults.limit(q.Limit)
	return faults.queryErr()
}

// The names of a query's fields that no record has.
const (
	fieldEnvelopeIDs     = "envelope_ids"
	fieldEnvelopeClasses = "envelope_classes"
	fieldDecisions       = "decisions"
	fieldReasonContains  = "reason_contains"
	fieldSince           = "since"
	fieldUntil           = "until"
	fieldOrder           = "order"
	fieldLimit           = "limit"
)

// Window is a half-open span of decision times: since ≤ time < until. Windows
// that touch share no record. A zero bound is an open one.
type Window struct {
	Since time.Time
	Until time.Time
}

// Normalized returns the window in UTC and in microseconds, the resolution in
// which times are stored, holding the same records: bounds that lie between two
// microseconds move to the later one.
func (w Window) Normalized() Window {
	return Window{Since: ceilMicrosecond(w.Since), Until: ceilMicrosecond(w.Until)}
}

func ceilMicrosecond(at time.Time) time.Time {
	if at.IsZero() {
		return time.Time{}
	}
	floor := at.UTC().Truncate(time.Microsecond)
	if floor.Equal(at) {
		return floor
	}
	return floor.Add(time.Microsecond)
}

func (l *faultList) window(w Window) {
	for _, bound := range []struct {
		field string
		at    time.Time
	}{{fieldSince, w.Since}, {fieldUntil, w.Until}} {
		if !bound.at.IsZero() {
			l.year(bound.field, bound.at)
		}
	}
	if !w.Since.IsZero() && !w.Until.IsZero() && w.Since.After(w.Until) {
		l.add(fieldSince, "lies after until")
	}
}

func (l *faultList) limit(limit int) {
	if limit < 0 || limit > MaxPageSize {
		l.add(fieldLimit, fmt.Sprintf("must be 1 to %d, or 0 for %d", MaxPageSize, DefaultPageSize))
	}
}

func (l *faultList) queryErr() error {
	if len(*l) == 0 {
		return nil
	}
	return &InvalidQueryError{Faults: *l}
}
