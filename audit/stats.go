package audit

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Counts counts what became of the records handed in. It always adds up:
// Attempts = Persisted + AlreadyPersisted + Skipped + Failed.
type Counts struct {
	// Attempts is how many records were handed in, however often each was sent.
	Attempts int64

	Persisted        int64
	AlreadyPersisted int64
	Skipped          int64
	Failed           int64
}

// Stats are a store's counts by envelope class. A record whose class is none
// of the five is counted under [Unknown].
type Stats map[EnvelopeClass]Counts

// Total returns the sum over all classes.
func (s Stats) Total() Counts {
	var total Counts
	for _, c := range s {
		total.Attempts += c.Attempts
		total.Persisted += c.Persisted
		total.AlreadyPersisted += c.AlreadyPersisted
		total.Skipped += c.Skipped
		total.Failed += c.Failed
	}
	return total
}

// Observer is told of every record handed in, once, when its call ends: the
// hook for metrics. It is called on the caller's goroutine, from many at once,
// so it must be quick and safe for concurrent use.
type Observer interface {
	ObservePersist(ctx context.Context, observation Observation)
}

// Observation is what became of one record.
type Observation struct {
	AuditID       uuid.UUID
	EnvelopeClass EnvelopeClass

	// Outcome is empty if the record failed.
	Outcome Outcome

	// Err is the *[PersistError] of a failed record, else nil.
	Err error

	// Attempts is how often the record was sent.
	Attempts int

	// Duration is how long the call took, waiting and retries included. The records
	// of one batch share it.
	Duration time.Duration
}
