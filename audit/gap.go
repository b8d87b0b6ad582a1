package audit

import (
	"time"

	"github.com/google/uuid"
)

// Gap says that records are missing from the trail: a recorder could neither
// store nor keep them. It is itself on record, and as immutable as a record.
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
