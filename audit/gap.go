package audit

import (
	"math"
	"time"

	"github.com/google/uuid"
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
