package audit

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Errors of following.
var (
	// ErrCursorForked: the trail is not the one that the cursor was made on, at least not
	// from some record on. That is so after a failover, a restore, or an expiry of the
	// records that the cursor remembers. [CursorForkedError] has a cursor to resume with.
	ErrCursorForked = errors.New("the trail has forked from the one that the cursor was made on")

	// ErrCannotFollow: the trail cannot be followed with this session. The text says why,
	// and what to do.
	ErrCannotFollow = errors.New("the trail cannot be followed")
)

// CursorForkedError says that the trail differs from the one that a cursor was made on. It
// matches [ErrCursorForked].
//
// What a failover or a restore has cut off is gone from the trail, although a follower may
// have delivered it, and the seqs of those records may have been given to other records. So
// nothing is read on as if nothing had happened. Resume begins after the last record that
// the cursor remembers and that is still there. It misses nothing that is in the trail now,
// and what is delivered again is marked [Followed.Repeated].
type CursorForkedError struct {
	// Reason says what differs.
	Reason string

	// Resume is the cursor to go on with. It is empty if none of the records that the cursor
	// remembers is there: then follow from the beginning, or from a time.
	Resume Cursor

	// ResumeAfter is the record after which Resume begins. It is zero if Resume is empty.
	ResumeAfter uuid.UUID
}

// Error says what differs and what to do.
func (e *CursorForkedError) Error() string {
	if e.Resume == "" {
		return fmt.Sprintf("%v: %s: none of the records that it remembers is here, so follow from the beginning, or from a time", ErrCursorForked, e.Reason)
	}
	return fmt.Sprintf("%v: %s: look for what was lost, then follow from the error's Resume, which begins after record %s", ErrCursorForked, e.Reason, e.ResumeAfter)
}

// Is reports whether target is [ErrCursorForked].
func (e *CursorForkedError) Is(target error) bool { return target == ErrCursorForked }

// The defaults of following.
const (
	// DefaultPollInterval is used if [FollowQuery.PollInterval] is 0.
	DefaultPollInterval = time.Second

	// DefaultPatience is used if [FollowQuery.Patience] is 0.
	DefaultPatience = time.Second
)

// FollowQuery selects the records to follow. A record must match every filter that is set.
// An empty filter matches all records. The filters are those of [Query].
type FollowQuery struct {
	// Scope says whose records the query sees. Required.
	Scope Scope

	// From is where following begins. Defaults to the beginning of the trail.
	From Start

	// Window bounds the decision time. Defaults to all of time.
	Window Window

	EnvelopeIDs           []string
	EnvelopeClasses       []EnvelopeClass
	Decisions             []Decision
	ConflictingEnvelopeID string
	PreemptingEnvelopeID  string
	TargetSubsystem       string
	TargetParameter       string
	ReasonContains        string
	ReasonCode            string
	PolicyVersion         string
	Actor                 string
	CausedBy              uuid.UUID
	Corrects              uuid.UUID
	CorrelationID         string
	TraceID               TraceID

	// Limit is the maximum number of records on a page, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize] for a page, and to MaxPageSize where no page is asked for.
	Limit int

	// PollInterval is the time between the starts of two looks for new records. At least half
	// of it is a rest, however long a look and the consumer take. Paged calls ignore it.
	// Defaults to [DefaultPollInterval].
	PollInterval time.Duration

	// Patience is how long following waits for transactions that may have stored a record
	// and have not ended. Then it goes around them: it delivers what others have committed,
	// and their records when they commit, marked [Followed.Late]. Longer patience means
	// fewer late records, and more delay by a slow transaction. Defaults to
	// [DefaultPatience]. A negative value means none.
	Patience time.Duration

	// Observe, if not nil, is called after each look at the trail, at most once a poll
	// interval, for metrics. It should return quickly. A panic in it harms nothing. Paged
	// calls ignore it, and have [FollowPage.Lag].
	Observe func(FollowLag)
}

// Query returns the query that lists the records that q follows.
func (q FollowQuery) Query() Query {
	return Query{
		Scope: q.Scope, Window: q.Window, Limit: q.Limit, Order: OldestFirst,
		EnvelopeIDs: q.EnvelopeIDs, EnvelopeClasses: q.EnvelopeClasses, Decisions: q.Decisions,
		ConflictingEnvelopeID: q.ConflictingEnvelopeID, PreemptingEnvelopeID: q.PreemptingEnvelopeID,
		TargetSubsystem: q.TargetSubsystem, TargetParameter: q.TargetParameter,
		ReasonContains: q.ReasonContains, ReasonCode: q.ReasonCode,
		PolicyVersion: q.PolicyVersion, Actor: q.Actor, CausedBy: q.CausedBy, Corrects: q.Corrects,
		CorrelationID: q.CorrelationID, TraceID: q.TraceID,
	}
}

// Validate reports a missing scope with [ErrNoScope]. Otherwise it reports every fault of
// the query in one [InvalidQueryError], or returns nil. Only the following call checks
// whether a cursor belongs to the query.
func (q FollowQuery) Validate() error {
	err := q.Query().Validate()
	if errors.Is(err, ErrNoScope) {
		return err
	}
	var faults faultList
	if invalid, ok := errors.AsType[*InvalidQueryError](err); ok {
		faults = invalid.Faults
	}
	if q.From.kind == startTime {
		if q.From.at.IsZero() {
			faults.add(fieldFrom, "is the zero time: leave it out to follow from the beginning")
		} else {
			faults.year(fieldFrom, q.From.at)
		}
	}
	if q.PollInterval < 0 {
		faults.add("poll_interval", fmt.Sprintf("must be positive, or 0 for %v", DefaultPollInterval))
	}
	return faults.queryErr()
}

const fieldFrom = "from"

// Start is where following begins. Its zero value is the beginning of the trail.
type Start struct {
	kind   startKind
	cursor Cursor
	at     time.Time
}

type startKind int

const (
	startBeginning startKind = iota
	startNow
	startCursor
	startTime
)

// FromNow begins after the records that are visible when the database first answers. Every
// record that is stored from then on is delivered, and those that others are storing at that
// moment may be.
func FromNow() Start { return Start{kind: startNow} }

// FromCursor begins after the record or page that the cursor came with. The empty cursor is
// the beginning of the trail, so that a consumer can begin with the cursor that it has not
// stored yet.
func FromCursor(c Cursor) Start {
	if c == "" {
		return Start{}
	}
	return Start{kind: startCursor, cursor: c}
}

// FromTime begins with the first record, in the order of following, that the database stored
// at t or later. Records that were stored before t may come among those after it. Finding the
// place reads the whole trail once, because no index serves it. If no record is as new,
// FromTime begins like [FromNow].
func FromTime(t time.Time) Start { return Start{kind: startTime, at: t} }

// IsNow reports whether s is [FromNow].
func (s Start) IsNow() bool { return s.kind == startNow }

// Cursor returns the cursor of [FromCursor].
func (s Start) Cursor() (Cursor, bool) { return s.cursor, s.kind == startCursor }

// Time returns the time of [FromTime].
func (s Start) Time() (time.Time, bool) { return s.at, s.kind == startTime }

// Followed is a record that was delivered by following.
type Followed struct {
	Record

	// Late means that records with a higher seq were delivered before it, because its
	// transaction was still open then.
	Late bool

	// Repeated means that the record may have been delivered before: the cursor had to fall
	// back, or resumes after a fork. A consumer that must not do it twice decides by the
	// record's AuditID.
	Repeated bool

	cursor func() Cursor
}

// NewFollowed returns a delivered record. The function makes the cursor after it.
func NewFollowed(rec Record, late, repeated bool, cursor func() Cursor) Followed {
	return Followed{Record: rec, Late: late, Repeated: repeated, cursor: cursor}
}

// Cursor returns the cursor after this record, to be stored. A follower that begins with it
// goes on with what comes next. It is made when it is asked for, so a consumer that stores
// one a batch pays for one a batch.
//
// It is text of a few hundred bytes, and longer while transactions are open that the
// follower went around: up to about 90,000 bytes. Beyond that it falls back to the oldest of
// them, and what comes again above it is marked [Followed.Repeated].
func (f Followed) Cursor() Cursor {
	if f.cursor == nil {
		return ""
	}
	return f.cursor()
}

// FollowPage is one page of following.
type FollowPage struct {
	// Records are in the order of delivery: late ones first, then by seq and audit id. There
	// may be none, also when there is more to read: a page under a filter ends at some place
	// as well.
	Records []Followed

	// Next is where the next page begins. It is exact, of any size, and never empty. Use it to
	// go on in this process.
	Next Cursor

	// Cursor is Next in the form to be stored: see [Followed.Cursor].
	Cursor Cursor

	// More means that the next page may have records already. Otherwise wait for the poll
	// interval before asking for it.
	More bool

	Lag FollowLag
}

// FollowLag is how far a follower is behind, and what holds it up.
type FollowLag struct {
	// Records is the number of seqs that were given and may still bring a record. Some of them
	// may have been rolled back, and others may not match the filter.
	Records int64

	// Since is how long ago Records was last 0.
	Since time.Duration

	// BlockedBy names the transactions that the follower went around and whose records are
	// still to come: "process 4711" or `prepared transaction "gid"`.
	BlockedBy []string

	// BlockedSince is when the follower went around the first of them. It is zero if there is
	// none.
	BlockedSince time.Time
}
