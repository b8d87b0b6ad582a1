package frame

import (
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// RejectedOver returns a record with all of its context: it was rejected because of the holder,
// an envelope of a class.
func RejectedOver(holder string, class audit.EnvelopeClass) audit.Record {
	rec := fixture.NewRecord()
	rec.Decision, rec.ConflictingEnvelopeID, rec.CounterpartClass = audit.Rejected, holder, class
	rec.TargetSubsystem, rec.TargetParameter = "retry", strings.Repeat("é", audit.MaxIDCharacters)
	return rec
}
