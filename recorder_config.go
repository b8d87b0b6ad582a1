package coordaudit

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// RecorderConfig sets a Recorder's bounds. SpoolDir is required. Zero in any other field
// means its default. The Recorder also uses the store's [Config]: Timeout bounds each
// attempt to store a batch, RetryDelay is the first step of the back-off, and Logger and
// Observer get the Recorder's records too.
type RecorderConfig struct {
	// SpoolDir is the directory that keeps records while the database is away. The Recorder
	// creates it if it is missing, for this user alone. Give each Recorder a directory of its
	// own, on a disk that outlives the process.
	SpoolDir string

	// MaxQueuedRecords bounds the records in memory. Defaults to 65,536.
	MaxQueuedRecords int

	// MaxQueuedBytes bounds the memory that they take. A record counts 960 bytes and twice
	// its texts, because with the default of GOGC=100 the garbage collector lets the heap
	// grow to twice the live memory. Defaults to 96 MiB, room for 65,536 records with 288
	// bytes of text each.
	MaxQueuedBytes int64

	// MaxBatch bounds the records of one batch, at most [MaxBatch]. Defaults to 1,000.
	MaxBatch int

	// WaitTimeout bounds how long Record and Emit wait. Defaults to the store's
	// [Config.Timeout].
	WaitTimeout time.Duration

	// WaitFor are the classes that Emit submits by Record. An empty slice that is not nil
	// means none. Defaults to SAFETY.
	WaitFor []audit.EnvelopeClass

	// RetryBudget is how long batches may fail before the database counts as away. From then
	// on records go to the spool at once, until a batch is stored again. Defaults to 5 s.
	RetryBudget time.Duration

	// MaxRetryDelay caps the exponential back-off between batches that fail. Half of each
	// delay is random. Defaults to 5 s.
	MaxRetryDelay time.Duration

	// SegmentBytes is the size beyond which the spool begins a new file. Defaults to 16 MiB.
	SegmentBytes int64

	// MaxSpoolBytes bounds the spool, without the directories rejected and torn. A full spool
	// takes no more records. Defaults to 4 GiB.
	MaxSpoolBytes int64

	now func() time.Time
}

func (c RecorderConfig) withDefaults(store Config) RecorderConfig {
	c.MaxQueuedRecords = cmp.Or(c.MaxQueuedRecords, 65_536)
	c.MaxQueuedBytes = cmp.Or(c.MaxQueuedBytes, 96<<20)
	c.MaxBatch = cmp.Or(c.MaxBatch, 1000)
	c.WaitTimeout = cmp.Or(c.WaitTimeout, store.Timeout)
	if c.WaitFor == nil {
		c.WaitFor = []audit.EnvelopeClass{audit.Safety}
	}
	c.RetryBudget = cmp.Or(c.RetryBudget, 5*time.Second)
	c.MaxRetryDelay = max(cmp.Or(c.MaxRetryDelay, 5*time.Second), store.RetryDelay)
	c.SegmentBytes = cmp.Or(c.SegmentBytes, 16<<20)
	c.MaxSpoolBytes = cmp.Or(c.MaxSpoolBytes, 4<<30)
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// validate returns an error that names every field at fault.
func (c RecorderConfig) validate() error {
	var faults []error
	require := func(holds bool, format string, args ...any) {
		if !holds {
			faults = append(faults, fmt.Errorf("starting a recorder: RecorderConfig."+format, args...))
		}
	}
	require(c.SpoolDir != "", "SpoolDir is empty: name a directory of its own")
	require(c.MaxQueuedRecords > 0, "MaxQueuedRecords is %d, must be positive", c.MaxQueuedRecords)
	require(c.MaxQueuedBytes >= minQueuedBytes, "MaxQueuedBytes is %d, must be %d at least: the largest record", c.MaxQueuedBytes, minQueuedBytes)
	require(c.MaxBatch > 0 && c.MaxBatch <= MaxBatch, "MaxBatch is %d, must be 1 to %d", c.MaxBatch, MaxBatch)
	require(c.WaitTimeout > 0, "WaitTimeout is %s, must be positive", c.WaitTimeout)
	require(c.RetryBudget > 0, "RetryBudget is %s, must be positive", c.RetryBudget)
	require(c.MaxRetryDelay > 0, "MaxRetryDelay is %s, must be positive", c.MaxRetryDelay)
	require(c.SegmentBytes > 0, "SegmentBytes is %d, must be positive", c.SegmentBytes)
	require(c.MaxSpoolBytes > 0, "MaxSpoolBytes is %d, must be positive", c.MaxSpoolBytes)
	for _, class := range c.WaitFor {
		_, err := audit.ParseEnvelopeClass(string(class))
		require(err == nil, "WaitFor holds an unknown class: use the constants of package audit")
	}
	return errors.Join(faults...)
}

// minQueuedBytes has room for the largest valid record: a reason of 64 KiB, details of 16 KiB, and the ids.
const minQueuedBytes = 256 << 10
