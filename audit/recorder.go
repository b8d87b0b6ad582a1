package audit

import (
	"context"
	"time"
)

// RecorderCounts counts what became of the records that a recorder accepted. It
// adds up at every moment: Accepted = Persisted + AlreadyPersisted + Skipped +
// Queued + DeadLettered + Rejected + Dropped.
type RecorderCounts struct {
	// Accepted is every valid record that was handed in before the recorder was
	// closed, and every one that was found in its dead-letter directory.
	Accepted int64

	Persisted        int64
	AlreadyPersisted int64
	Skipped          int64

	// Queued is how many are in memory now, those on their way to the database
	// included. A killed process loses them.
	Queued int64

	// DeadLettered is how many are in the dead-letter directory now. They survive
	// the process, and are stored when the database answers.
	DeadLettered int64

	// Rejected is how many the database refused for their own sake. They are kept in
	// the directory rejected, each with the reason.
	Rejected int64

	// Dropped is how many could not be kept anywhere. Their callers were told, and a
	// [Gap] tells the trail's readers. It is the most that can be missing: a batch
	// whose answer was lost may have been stored all the same.
	Dropped int64
}

// Add adds other to c.
func (c *RecorderCounts) Add(other RecorderCounts) {
	c.Accepted += other.Accepted
	c.Persisted += other.Persisted
	c.AlreadyPersisted += other.AlreadyPersisted
	c.Skipped += other.Skipped
	c.Queued += other.Queued
	c.DeadLettered += other.DeadLettered
	c.Rejected += other.Rejected
	c.Dropped += other.Dropped
}

// AccountedFor returns the sum of all that accepted records can become. It equals
// Accepted.
func (c RecorderCounts) AccountedFor() int64 {
	return c.Persisted + c.AlreadyPersisted + c.Skipped + c.Queued + c.DeadLettered + c.Rejected + c.Dropped
}

// RecorderStats are a recorder's counts and gauges, of one moment.
type RecorderStats struct {
	// ByClass holds all five classes.
	ByClass map[EnvelopeClass]RecorderCounts

	// Refused is how many were not accepted: invalid, or handed in after the close.
	Refused int64

	// QueueBytes is what queued records count towards the queue's bound, in bytes.
	QueueBytes int64

	// OldestAge is how long the oldest queued record has been waiting.
	OldestAge time.Duration

	// Available reports that the last thing the database did was to answer.
	Available bool

	// Batches is how many batches were stored, BatchedRecords how many records they
	// held and FlushDuration how long they took together; the queue's and the
	// dead-letter directory's alike.
	Batches        int64
	BatchedRecords int64
	FlushDuration  time.Duration

	// Retries is how many batches failed and were tried again later.
	Retries int64

	// DeadLetterBytes is the size of the dead-letter directory's segments on disk.
	DeadLetterBytes int64
}

// Total returns the sum over all classes.
func (s RecorderStats) Total() RecorderCounts {
	var total RecorderCounts
	for _, counts := range s.ByClass {
		total.Add(counts)
	}
	return total
}

// RecorderObserver is an [Observer] that is told of a recorder's batches, too: a
// recorder asks its store's Observer whether it is one. Of each accepted record
// ObservePersist is told once, when it is stored, skipped, rejected or dropped,
// on one of the recorder's goroutines or its caller's.
type RecorderObserver interface {
	Observer

	// ObserveFlush is called after each batch was sent, stored or not.
	ObserveFlush(ctx context.Context, flush Flush)
}

// Flush is one batch that a recorder sent to the database.
type Flush struct {
	// Records is the size of the batch.
	Records int

	// FromDeadLetters: the batch came from the dead-letter directory, not from the queue.
	FromDeadLetters bool

	// Duration is how long the database took.
	Duration time.Duration

	// Err is why the batch was not stored as a whole; its records are kept. Nil if
	// it was, records refused one by one left aside.
	Err error
}
