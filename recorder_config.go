package coordaudit

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// RecorderConfig sets a Recorder's bounds. DeadLetterDir is required; zero in any
// other field means its default. Of the store's [Config], Timeout bounds each
// batch's way to the database, RetryDelay is the back-off's first step, and
// Logger and Observer are told of the Recorder's records too.
type RecorderConfig struct {
	// DeadLetterDir is the directory that keeps records while the database is away.
	// It is made if it is missing, for this user alone. Give each Recorder its own,
	// on a disk that outlives the process.
	DeadLetterDir string

	// MaxQueuedRecords bounds the records in memory. Defaults to 65,536.
	MaxQueuedRecords int

	// MaxQueuedBytes bounds the memory that they take. A record counts 640 bytes and
	// twice its texts: the garbage collector lets the heap grow to twice what lives,
	// at its default of GOGC=100. Defaults to 64 MiB, room for 65,536 records of 190
	// bytes of text each.
	MaxQueuedBytes int64

	// MaxBatch bounds the records of one batch, at most [MaxBatch]. Defaults to 1,000.
	MaxBatch int

	// WaitTimeout bounds how long Record and Emit wait. Defaults to the store's
	// [Config.Timeout].
	WaitTimeout time.Duration

	// WaitFor are the classes that Emit hands in by Record; an empty slice that is not
	// nil means none. Defaults to SAFETY.
	WaitFor []audit.EnvelopeClass

	// RetryBudget is how long batches may fail before the database counts as away:
	// from then on records go to the dead-letter directory at once, until a batch is
	// stored again. Defaults to 5 s.
	RetryBudget time.Duration

	// MaxRetryDelay caps the exponential back-off between batches that fail. Half of
	// each delay is left to chance. Defaults to 5 s.
	MaxRetryDelay time.Duration

	// SegmentBytes is the size beyond which the dead-letter directory begins a new
	// file. Defaults to 16 MiB.
	SegmentBytes int64

	// MaxDeadLetterBytes bounds the dead-letter directory, rejected and torn left
	// aside; a directory that is full is one that takes nothing. Defaults to 4 GiB.
	MaxDeadLetterBytes int64

	now func() time.Time
}

func (c RecorderConfig) withDefaults(store Config) RecorderConfig {
	c.MaxQueuedRecords = cmp.Or(c.MaxQueuedRecords, 65_536)
	c.MaxQueuedBytes = cmp.Or(c.MaxQueuedBytes, 64<<20)
	c.MaxBatch = cmp.Or(c.MaxBatch, 1000)
	c.WaitTimeout = cmp.Or(c.WaitTimeout, store.Timeout)
	if c.WaitFor == nil {
		c.WaitFor = []audit.EnvelopeClass{audit.Safety}
	}
	c.RetryBudget = cmp.Or(c.RetryBudget, 5*time.Second)
	c.MaxRetryDelay = max(cmp.Or(c.MaxRetryDelay, 5*time.Second), store.RetryDelay)
	c.SegmentBytes = cmp.Or(c.SegmentBytes, 16<<20)
	c.MaxDeadLetterBytes = cmp.Or(c.MaxDeadLetterBytes, 4<<30)
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// validate names every field that is at fault.
func (c RecorderConfig) validate() error {
	var faults []error
	require := func(holds bool, format string, args ...any) {
		if !holds {
			faults = append(faults, fmt.Errorf("starting a recorder: RecorderConfig."+format, args...))
		}
	}
	require(c.DeadLetterDir != "", "DeadLetterDir is empty: name a directory of its own")
	require(c.MaxQueuedRecords > 0, "MaxQueuedRecords is %d, must be positive", c.MaxQueuedRecords)
	require(c.MaxQueuedBytes >= minQueuedBytes, "MaxQueuedBytes is %d, must be %d at least: the largest record", c.MaxQueuedBytes, minQueuedBytes)
	require(c.MaxBatch > 0 && c.MaxBatch <= MaxBatch, "MaxBatch is %d, must be 1 to %d", c.MaxBatch, MaxBatch)
	require(c.WaitTimeout > 0, "WaitTimeout is %s, must be positive", c.WaitTimeout)
	require(c.RetryBudget > 0, "RetryBudget is %s, must be positive", c.RetryBudget)
	require(c.MaxRetryDelay > 0, "MaxRetryDelay is %s, must be positive", c.MaxRetryDelay)
	require(c.SegmentBytes > 0, "SegmentBytes is %d, must be positive", c.SegmentBytes)
	require(c.MaxDeadLetterBytes > 0, "MaxDeadLetterBytes is %d, must be positive", c.MaxDeadLetterBytes)
	for _, class := range c.WaitFor {
		_, err := audit.ParseEnvelopeClass(string(class))
		require(err == nil, "WaitFor holds an unknown class: use the constants of package audit")
	}
	return errors.Join(faults...)
}

// minQueuedBytes lets the largest valid record in: a reason of 64 KiB, and the ids.
const minQueuedBytes = 256 << 10
