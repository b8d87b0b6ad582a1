package audit

import (
	"math"
	"time"

	"github.com/google/uuid"
)

// CompletenessQuery selects the sources to account for. It has no scope: a source accepts the
// records of all tenants.
type CompletenessQuery struct {
	// Window selects the sources that made a statement in it, or whose rows were inserted in
	// it. Each of them is accounted for as a whole. Defaults to all of time.
	Window Window
}

// Validate reports every fault of the query in one [InvalidQueryError], or returns nil.
func (q CompletenessQuery) Validate() error {
	var faults faultList
	faults.window(q.Window)
	return faults.queryErr()
}

// Completeness compares what sources have accepted with what is stored, at one moment. It
// proves that nothing is missing of what the sources' statements speak of. It says nothing
// about a writer that numbers nothing.
type Completeness struct {
	// At is the database's clock at that moment.
	At time.Time

	// Sources are in the order of their first statement. Sources without any come last.
	Sources []SourceAccount

	// Unnumbered is the number of records that no source has numbered: those of Persist,
	// PersistTx and PersistMany, and those of older releases.
	Unnumbered int64
}

// Complete reports whether no ordinal is unexplained and nothing contradicts a statement.
func (c Completeness) Complete() bool {
	for i := range c.Sources {
		if len(c.Sources[i].Unexplained) > 0 || len(c.Sources[i].Findings) > 0 {
			return false
		}
	}
	return true
}

// SourceAccount accounts for each ordinal of one source: AcceptedThrough = present, dropped,
// rejected, already persisted, waiting and unexplained ones together, as far as they are not
// beyond AcceptedThrough.
type SourceAccount struct {
	SourceID uuid.UUID

	// Label says who the source is: the host, the process and the program.
	Label string

	// OpenedAt and LastStatementAt are when its first and its last statement were stored, by
	// the database's clock. They are zero if there is none.
	OpenedAt, LastStatementAt time.Time

	// Closed means that the source has ended and has said so. A source that is killed does not.
	Closed bool

	// Imported means that its records came from a file. Its own account is in the trail that
	// the file was exported from, and nothing is expected here.
	Imported bool

	// AcceptedThrough is the highest ordinal that a statement speaks of, ReservedThrough the
	// highest one that may have been given.
	AcceptedThrough, ReservedThrough int64

	// Present is the number of ordinals that a row carries.
	Present int64

	// Explained counts the ordinals that no row carries and whose cause is known.
	Explained Explained

	// Waiting is the number of ordinals that were not decided when the last statement was
	// made: their records are in the source's memory or spool.
	Waiting int64

	// LastBlock is the number of ordinals beyond AcceptedThrough that no row carries, of a
	// source that has not closed. No one can tell whether they were given.
	LastBlock int64

	// Unexplained are the ordinals that were given, are not stored, and that nothing explains:
	// their records are lost, or were removed.
	Unexplained []OrdinalRange

	// Findings are contradictions between statements and rows.
	Findings []Finding
}

// UnexplainedTotal returns the number of unexplained ordinals.
func (a SourceAccount) UnexplainedTotal() (ordinals int64) {
	for _, r := range a.Unexplained {
		ordinals += r.Total()
	}
	return ordinals
}

// Finished reports whether nothing is left to look at: the source has closed or came with a
// file, no ordinal waits or is unexplained, and nothing contradicts a statement.
func (a SourceAccount) Finished() bool {
	return (a.Closed || a.Imported) && a.Waiting == 0 && len(a.Unexplained) == 0 && len(a.Findings) == 0
}

// Explained counts ordinals that no row carries, by cause.
type Explained struct {
	// Dropped records were kept nowhere. Their callers got an error, and a [Gap] counts them.
	Dropped int64

	// Rejected records were refused by the database for their own sake.
	Rejected int64

	// AlreadyPersisted records are stored under another source or ordinal.
	AlreadyPersisted int64

	// Expired records were stored, and have left the trail for an archive, on record.
	Expired int64
}

// Total returns the sum of all causes.
func (e Explained) Total() int64 { return e.Dropped + e.Rejected + e.AlreadyPersisted + e.Expired }

// OrdinalRange holds the ordinals from First to Last, both included. Before is when the first
// statement that speaks of them reached the database, After when the one before it did, by the
// database's clock. Their records were accepted before Before, and after After unless that
// statement had waited in a spool. Either is zero if there is no such statement.
type OrdinalRange struct {
	First, Last   int64
	After, Before time.Time
}

// Total returns the number of ordinals in the range.
func (r OrdinalRange) Total() int64 { return r.Last - r.First + 1 }

// Finding is a contradiction between statements and rows.
type Finding struct {
	Kind FindingKind

	// First and Last are ordinals, or numbers of statements for [MissingStatement]. They are 0
	// if the finding is about the source as a whole.
	First, Last int64
}

// FindingKind names a contradiction.
type FindingKind string

// The kinds of findings.
const (
	// RepeatedOrdinal: several rows carry the ordinal.
	RepeatedOrdinal FindingKind = "repeated ordinal"

	// UnexpectedRow: a row carries an ordinal that will never come, as a statement says.
	UnexpectedRow FindingKind = "unexpected row"

	// UnreservedRow: a row carries an ordinal that no statement has reserved.
	UnreservedRow FindingKind = "unreserved row"

	// MissingStatement: statements with higher numbers are there, these are not.
	MissingStatement FindingKind = "missing statement"

	// NoStatements: rows carry the source's id, and it has no statement.
	NoStatements FindingKind = "no statements"
)

// Gap says that records are missing from the trail: a recorder could neither store nor
// keep them. The gap is itself on record, and as immutable as a record.
//
// The count is an upper bound. It includes a record that its caller stored in another
// way, and one whose batch was stored though the answer was lost.
type Gap struct {
	// GapID identifies the gap, so that recording it again is safe.
	GapID uuid.UUID

	// Dropped is the number of missing records by class. It omits classes without any.
	Dropped map[EnvelopeClass]int64

	// FirstAuditID and LastAuditID are the ids of the first and the last missing record.
	FirstAuditID, LastAuditID uuid.UUID

	// From and Until are when the recorder dropped the first and the last of them, by its
	// own clock. They are UTC, in microseconds, and From is not after Until.
	From, Until time.Time

	// Cause says why they could not be kept, in at most [MaxGapCauseCharacters].
	Cause string

	// RecordedAt is the database's clock when the gap was recorded. The database sets it.
	RecordedAt time.Time
}

// MaxGapCauseCharacters bounds [Gap.Cause], in characters.
const MaxGapCauseCharacters = 500

// Total returns the number of missing records of all classes. If the sum exceeds an
// int64, it is math.MaxInt64.
func (g Gap) Total() int64 {
	var total, owed int64 // owed is negative: only a row that was inserted by hand has negative counts
	for _, n := range g.Dropped {
		switch {
		case n < 0:
			owed = max(owed, math.MinInt64-n) + n
		case total > math.MaxInt64-n:
			total = math.MaxInt64
		default:
			total += n
		}
	}
	return total + owed
}

// GapQuery selects the gaps to list. It has no scope: a gap counts the records of all
// tenants together and holds no content of any.
type GapQuery struct {
	// Window bounds the time of the loss. A gap is listed if any moment from its From to
	// its Until, both included, lies in the window. So a gap may be listed in two adjacent
	// windows. Defaults to all of time.
	Window Window

	// Limit is the maximum number of gaps, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize].
	Limit int
}

// Validate reports every fault of the query in one [InvalidQueryError], or returns nil.
func (q GapQuery) Validate() error {
	var faults faultList
	faults.window(q.Window)
	faults.limit(q.Limit)
	return faults.queryErr()
}
