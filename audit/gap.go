package audit

import (
	"time"

	"github.com/google/uuid"
)

// Gap says that records are missing from the trail: a recorder could neither
// store nor keep them. It is itself on record, and as immutable as a record.
//
// It says how many are missing at the most: one that its caller stored another way,
// or whose batch was stored though its answer was lost, counts as missing, too.
type Gap struct {
	// GapID names the gap, so that recording it again is safe.
	GapID uuid.UUID

	// Dropped is how many records are missing, by class. Classes without any are
	// left out.
	Dropped map[EnvelopeClass]int64

	// FirstAuditID and LastAuditID are the ids of the first and the last missing one.
	FirstAuditID, LastAuditID uuid.UUID

	// From and Until are when the first and the last were dropped, by the
	// recorder's clock: UTC, microseconds, From not after Until.
	From, Until time.Time

	// Cause says why they could not be kept, at most [MaxGapCauseCharacters].
	Cause string

	// RecordedAt is the database's clock when the gap was recorded. The database
	// sets it.
	RecordedAt time.Time
}

// MaxGapCauseCharacters bounds [Gap.Cause], in characters.
const MaxGapCauseCharacters = 500

// Total returns how many records are missing, of all classes.
func (g Gap) Total() int64 {
	var total int64
	for _, n := range g.Dropped {
		total += n
	}
	return total
}

// GapQuery says which gaps to list. It takes no scope: a gap counts the records of
// all tenants together, and holds no content of any.
type GapQuery struct {
	// Window bounds the time of the loss: a gap is listed if a moment from its From
	// to its Until, both included, lies in it. So a gap may lie in two windows that
	// touch. Defaults to all of time.
	Window Window

	// Limit is the most gaps to list, 1 to [MaxPageSize]. Defaults to
	// [DefaultPageSize].
	Limit int
}

// Validate reports every fault of the query in one [InvalidQueryError], or nil.
func (q GapQuery) Validate() error {
	var faults faultList
	faults.window(q.Window)
	faults.limit(q.Limit)
	return faults.queryErr()
}
