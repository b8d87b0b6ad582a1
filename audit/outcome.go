package audit

import (
	"time"

	"github.com/google/uuid"
)

// Outcome is what became of a record that was handed in and not refused. The
// zero value means that the record was not stored.
type Outcome string

// The outcomes.
const (
	// Persisted: this call stored the record.
	Persisted Outcome = "persisted"

	// AlreadyPersisted: the record was there before, with the same content. A retry
	// after a lost acknowledgement ends here.
	AlreadyPersisted Outcome = "already_persisted"

	// Skipped: a replay. The record was checked and not written.
	Skipped Outcome = "skipped"
)

// Receipt says where a record is in the trail.
type Receipt struct {
	// AuditID is the record's id. It is set on an error too, so that a retry can
	// name the same record even if the id was made by the call that failed.
	AuditID uuid.UUID

	// Outcome is what became of the record; empty on an error.
	Outcome Outcome

	// Seq is the record's place in the order of insertion; 0 if it was skipped or
	// not stored. Gaps are normal.
	Seq int64

	// CreatedAt is the database's clock at the insertion, UTC, in microseconds;
	// zero if the record was skipped or not stored.
	CreatedAt time.Time
}
