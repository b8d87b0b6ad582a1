package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/deadletter"
	"github.com/hoc-analytics/coordaudit/internal/recorder"
)

// Recorder accepts records faster than a commit each would let them in, and keeps
// them while the database is away. A bounded queue gathers what comes in while a
// batch is on its way, so that each commit stores many (group commit). What the
// database does not take goes to the dead-letter directory, a file on disk that
// survives the process, and from there to the database when it answers again.
//
// What has been accepted is stored, or kept, or told of: see [audit.RecorderCounts],
// which add up at every moment. A Recorder is safe for concurrent use. Close it,
// or the records in its queue are lost with the process.
type Recorder struct {
	store    *Store
	config   RecorderConfig
	machine  *recorder.Recorder
	refused  atomic.Int64
	skipping skipping
}

// NewRecorder starts a Recorder on the store's pool. It opens the dead-letter
// directory, counts what an earlier Recorder left there, and begins to store it,
// in its order. The database is not waited for.
//
// The directory belongs to one Recorder at a time: another one, of any process,
// gets [audit.ErrDirectoryInUse]. The end of a segment that a crash cut off is set
// aside in torn, logged, and no reason not to start.
//
// Close the Recorder before its store. A Recorder on a store from
// [Store.Replaying] validates, counts its records as skipped, and opens nothing.
func (s *Store) NewRecorder(config RecorderConfig) (*Recorder, error) {
	config = config.withDefaults(s.config)
	if err := config.validate(); err != nil {
		return nil, err
	}
	r := &Recorder{store: s, config: config}
	if s.replaying {
		return r, nil
	}
	if !s.driver.HasPool() {
		return nil, fmt.Errorf("starting a recorder: %w", audit.ErrNoPool)
	}
	letters, found, err := deadletter.Open(deadletter.Config{
		Path:         config.DeadLetterDir,
		SegmentBytes: config.SegmentBytes,
		MaxBytes:     config.MaxDeadLetterBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("starting a recorder: %w", err)
	}
	s.logFound(found)
	r.machine = recorder.Start(recorder.Config{
		MaxRecords:     config.MaxQueuedRecords,
		MaxBytes:       config.MaxQueuedBytes,
		MaxBatch:       config.MaxBatch,
		AttemptTimeout: s.config.Timeout,
		RetryBudget:    config.RetryBudget,
		FirstDelay:     s.config.RetryDelay,
		MaxDelay:       config.MaxRetryDelay,
		Now:            config.now,
		Logger:         s.config.Logger,
	}, gated{s.core}, letters, found, teller{s})
	return r, nil
}

// Record stores one record in a batch with others, and waits for its commit: when
// it returns nil, the record is as durable as after [Store.Persist].
//
// It returns when ctx ends or [RecorderConfig.WaitTimeout] has passed, whichever
// is first. The record stays accepted then, and the error is [audit.ErrPending]:
// it will be stored without its caller. The same error says that the record has
// gone to the dead-letter directory, since the database is away. Other errors are
// final: [audit.ErrInvalidRecord], [audit.ErrConflict] and [audit.ErrRefused] for
// a record that is at fault, [audit.ErrDropped] if there is no room to keep it,
// [audit.ErrClosed]. Each is wrapped in an *[audit.PersistError].
//
// A lone caller's record is sent at once; the receipt is that of [Store.Persist].
func (r *Recorder) Record(ctx context.Context, rec audit.Record) (audit.Receipt, error) {
	if err := r.prepare(ctx, &rec); err != nil {
		return audit.Receipt{AuditID: rec.AuditID}, err
	}
	if r.machine == nil {
		return r.skip(ctx, &rec)
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.WaitTimeout)
	defer cancel()
	receipt, err := r.machine.Record(ctx, &rec)
	receipt.AuditID = rec.AuditID
	return receipt, r.failure(ctx, &rec, err)
}

// Enqueue accepts one record and returns at once, in microseconds, whatever state
// the database is in. When it returns nil, the record will be stored, kept in the
// dead-letter directory, or kept in its directory rejected with the database's
// reason. Until the first of these it is in memory: a process that is killed loses
// it, and a Recorder that is closed does not.
//
// Errors, each in an *[audit.PersistError]: [audit.ErrInvalidRecord];
// [audit.ErrDropped] if the queue is full, because neither the database nor the
// dead-letter directory keeps pace; [audit.ErrClosed]. Give the record an AuditID
// to be able to name it later.
func (r *Recorder) Enqueue(rec audit.Record) error {
	return r.enqueue(context.Background(), rec)
}

// enqueue waits for nothing, so of ctx only the values are used, for what is told.
func (r *Recorder) enqueue(ctx context.Context, rec audit.Record) error {
	if err := r.prepare(ctx, &rec); err != nil {
		return err
	}
	if r.machine == nil {
		_, err := r.skip(ctx, &rec)
		return err
	}
	return r.failure(ctx, &rec, r.machine.Enqueue(ctx, &rec))
}

// Emit hands in one record as its class demands: those of [RecorderConfig.WaitFor]
// by [Recorder.Record], the others by [Recorder.Enqueue]. It is the contract of
// the predecessor's persist_audit_record: true says that the record is stored,
// accepted or skipped in a replay; false that it is refused, which is logged and
// counted. It does not panic, and returns within [RecorderConfig.WaitTimeout].
func (r *Recorder) Emit(ctx context.Context, rec audit.Record) (accepted bool) {
	defer func() {
		if recover() != nil { // a caller's observer or log handler
			accepted = false
		}
	}()
	var err error
	if slices.Contains(r.config.WaitFor, rec.EnvelopeClass.OrUnknown()) {
		_, err = r.Record(ctx, rec)
	} else {
		err = r.enqueue(ctx, rec)
	}
	return err == nil || errors.Is(err, audit.ErrPending)
}

// Flush waits until every record that was accepted before the call is durable:
// stored, in the dead-letter directory, or rejected. When ctx ends first, what is
// left goes to the directory. An error is [audit.ErrPending]: some records are
// still in memory, on their way to a database that does not answer or beside a
// directory that takes nothing.
func (r *Recorder) Flush(ctx context.Context) error {
	if r.machine == nil {
		return nil
	}
	return r.machine.Flush(ctx)
}

// Close accepts nothing more and stores what is in the queue, until ctx ends. What
// is left goes to the dead-letter directory, at once if the database is away. Then
// it ends the Recorder's goroutines and gives the directory free. It may take
// 250 ms longer than ctx, and as long as the disk takes.
//
// An error is [audit.ErrDropped]: the directory did not take what was left.
// Closing twice is the same as closing once.
func (r *Recorder) Close(ctx context.Context) error {
	r.skipping.closed.Store(true)
	if r.machine == nil {
		return nil
	}
	return r.machine.Close(ctx)
}

// Stats returns the Recorder's counts and gauges. Its records are counted here,
// not in [Store.Stats].
func (r *Recorder) Stats() audit.RecorderStats {
	var stats audit.RecorderStats
	if r.machine == nil {
		stats = r.skipping.stats()
	} else {
		stats = r.machine.Stats()
	}
	stats.Refused = r.refused.Load()
	return stats
}

// prepare refuses a record that will never be stored before it takes any room.
func (r *Recorder) prepare(ctx context.Context, rec *audit.Record) error {
	err := prepare(rec)
	if err == nil {
		return nil
	}
	return r.refuse(ctx, rec, err)
}

func (r *Recorder) refuse(ctx context.Context, rec *audit.Record, err error) error {
	r.refused.Add(1)
	return r.store.tell(ctx, rec, audit.Receipt{}, settled{err: err})
}

// failure gives an error of the machine its final form. Whoever settled the record
// has told of it; a closed recorder tells nobody, so it is told of here.
func (r *Recorder) failure(ctx context.Context, rec *audit.Record, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrClosed):
		return r.refuse(ctx, rec, err)
	default:
		return persistError(rec, settled{err: err})
	}
}
