package audit

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Counts counts submitted records by outcome. At every moment Attempts = Persisted +
// AlreadyPersisted + Skipped + Failed.
type Counts struct {
	// Attempts is the number of records submitted. A record that was sent several times
	// counts once.
	Attempts int64

	Persisted        int64
	AlreadyPersisted int64
	Skipped          int64
	Failed           int64
}

// Stats are a store's counts by envelope class. A record with an invalid class is
// counted under [Unknown].
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

// Observer is the hook for metrics. It is called once for every submitted record, when
// the record's call ends. Many goroutines call it at once, so it must be quick and safe
// for concurrent use. The call waits for an Observer that blocks, but no longer than
// about 100 ms. While several calls of it block, others are skipped. A panic is logged
// and goes no further.
type Observer interface {
	ObservePersist(ctx context.Context, observation Observation)
}

// Observation is the outcome of one record.
type Observation struct {
	AuditID       uuid.UUID
	EnvelopeClass EnvelopeClass

	// Outcome is empty if the record failed.
	Outcome Outcome

	// Err is the *[PersistError] of a failed record, or nil.
	Err error

	// Attempts is how often the record was sent.
	Attempts int

	// Duration is how long the call took, including waiting and retries. All records of
	// a batch have the same.
	Duration time.Duration
}
