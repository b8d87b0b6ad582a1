package audit

import (
	"time"

	"github.com/google/uuid"
)

// Outcome is how a persist call ended for a record that did not fail. The zero value
// means that the record failed.
type Outcome string

// The outcomes.
const (
	// Persisted: this call stored the record.
	Persisted Outcome = "persisted"

	// AlreadyPersisted: the record was stored before, with the same content. It is as
	// durable as if this call had stored it. A retry after a lost acknowledgement ends
	// here.
	AlreadyPersisted Outcome = "already_persisted"

	// Skipped: the store is a replay. It checked the record and did not write it.
	Skipped Outcome = "skipped"
)

// Result is the outcome of one record and its place in the trail.
type Result struct {
	// AuditID is the record's id. It is set on an error, too, so that a retry can use the
	// same id even if the failed call made it.
	AuditID uuid.UUID

	// Outcome is how the call ended for the record. It is empty on an error.
	Outcome Outcome

	// Seq is the record's number in the order of insertion. It is 0 if the record was
	// skipped or not stored. Numbers may be missing.
	Seq int64

	// CreatedAt is the database's clock at insertion, in UTC and microseconds. It is zero
	// if the record was skipped or not stored.
	CreatedAt time.Time
}
