package audit

import (
	"context"
	"time"
)

// RecorderCounts counts the outcomes of the records that a recorder accepted. The counts add
// up at every moment: Accepted = Persisted + AlreadyPersisted + Skipped + Queued + Spooled +
// Rejected + Dropped.
type RecorderCounts struct {
	// Accepted counts every valid record that was submitted before the recorder was closed,
	// and every record that was found in its spool.
	Accepted int64

	Persisted        int64
	AlreadyPersisted int64
	Skipped          int64

	// Queued counts the records that are in memory now, with those on their way to the
	// database. A killed process loses them.
	Queued int64

	// Spooled counts the records that are in the spool now. They survive the process, and are
	// stored when the database answers.
	Spooled int64

	// Rejected counts the records that the database refused for their own sake. They are kept
	// in the spool's directory rejected, each with the reason.
	Rejected int64

	// Dropped counts the records that could not be kept anywhere, whose callers got an error,
	// and those that someone else removed from the spool. A [Gap] reports both to the trail's
	// readers. Dropped is the maximum that can be missing: a batch whose answer was lost may
	// have been stored nevertheless.
	Dropped int64
}

// Add adds other to c.
func (c *RecorderCounts) Add(other RecorderCounts) {
	c.Accepted += other.Accepted
	c.Persisted += other.Persisted
	c.AlreadyPersisted += other.AlreadyPersisted
	c.Skipped += other.Skipped
	c.Queued += other.Queued
	c.Spooled += other.Spooled
	c.Rejected += other.Rejected
	c.Dropped += other.Dropped
}

// AccountedFor returns the sum of all states of accepted records. It equals Accepted.
func (c RecorderCounts) AccountedFor() int64 {
	return c.Persisted + c.AlreadyPersisted + c.Skipped + c.Queued + c.Spooled + c.Rejected + c.Dropped
}

// RecorderStats are a recorder's counts and gauges at one moment.
type RecorderStats struct {
	// ByClass holds all five classes.
	ByClass map[EnvelopeClass]RecorderCounts

	// Refused counts the records that were not accepted: invalid, or submitted after the close.
	Refused int64

	// QueueBytes is the size of the queued records as the queue's bound counts it.
	QueueBytes int64

	// OldestAge is how long the oldest queued record has been waiting.
	OldestAge time.Duration

	// Available reports whether the last batch was stored, or none was sent yet.
	Available bool

	// Batches is the number of stored batches, BatchedRecords the number of records in them,
	// and FlushDuration their total duration. They include the batches from the spool.
	Batches        int64
	BatchedRecords int64
	FlushDuration  time.Duration

	// Retries is the number of batches that failed and were sent again later.
	Retries int64

	// Failovers is how often the writes moved to another server: another system, or another
	// timeline of the same one after a promotion. Records that were acknowledged shortly
	// before may be missing there if the standby was asynchronous.
	Failovers int64

	// SkippedHooks is the number of calls to the store's Observer and log handler that were
	// skipped because too many earlier ones had not returned.
	SkippedHooks int64

	// SpoolBytes is the size of the spool's segments on disk.
	SpoolBytes int64
}

// Total returns the sum over all classes.
func (s RecorderStats) Total() RecorderCounts {
	var total RecorderCounts
	for _, counts := range s.ByClass {
		total.Add(counts)
	}
	return total
}

// RecorderObserver is an [Observer] that also observes a recorder's batches. A recorder checks
// whether its store's Observer is one. It calls ObservePersist once for each accepted record,
// when the record is stored, skipped, rejected or dropped, on one of the recorder's goroutines
// or on the caller's.
type RecorderObserver interface {
	Observer

	// ObserveFlush is called after each batch, whether it was stored or not.
	ObserveFlush(ctx context.Context, flush Flush)
}

// Flush is one batch that a recorder sent to the database.
type Flush struct {
	// Records is the size of the batch.
	Records int

	// FromSpool means that the batch came from the spool, not from the queue.
	FromSpool bool

	// Duration is how long the database took.
	Duration time.Duration

	// Err is why the batch was not stored. Its records are kept. Err is nil if the batch was
	// stored, except for records that were refused one by one.
	Err error
}
