package coordaudit

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Recorder accepts records faster than one commit for each would allow, and keeps them
// while the database is away. A bounded queue gathers records while a batch is on its way,
// so that each commit stores many of them (group commit). Records that the database does
// not take go to the spool, a directory on disk that survives the process, and from there
// to the database when it answers again.
//
// Every accepted record is stored, kept, or reported as dropped: see
// [audit.RecorderCounts], which add up at every moment. A Recorder is safe for concurrent
// use. Close it, or the records in its queue are lost with the process.
type Recorder struct {
	store    *Store
	config   RecorderConfig
	acceptor acceptor
	refused  atomic.Int64
}

// acceptor accepts valid records. A keeper stores them. In a replay, a skipper counts them.
type acceptor interface {
	record(ctx context.Context, rec *audit.Record) (audit.Result, error)
	enqueue(ctx context.Context, rec *audit.Record) error
	flush(ctx context.Context) error
	close(ctx context.Context) error
	stats() audit.RecorderStats
}

// NewRecorder starts a Recorder on the store's pool. It opens the spool directory, counts
// the records that an earlier Recorder left there, and begins to store them, in their
// order. It does not wait for the database.
//
// The directory belongs to one Recorder at a time. A second one, of any process, gets
// [audit.ErrDirectoryInUse]. If a crash cut off the end of a segment, the Recorder moves
// that end to torn, logs it, and starts.
//
// Close the Recorder before its store. A Recorder on a store from [Store.Replaying]
// validates records, counts them as skipped, and opens nothing.
func (s *Store) NewRecorder(config RecorderConfig) (*Recorder, error) {
	config = config.withDefaults(s.config)
	if err := config.validate(); err != nil {
		return nil, err
	}
	if s.replaying {
		return &Recorder{store: s, config: config, acceptor: &skipper{store: s}}, nil
	}
	keeper, err := s.startKeeper(config)
	if err != nil {
		return nil, err
	}
	return &Recorder{store: s, config: config, acceptor: keeper}, nil
}

// Record stores one record in a batch with others, and waits for its commit. When it
// returns nil, the record is as durable as after [Store.Persist].
//
// Record returns when ctx ends or when [RecorderConfig.WaitTimeout] has passed, whichever
// comes first. The record stays accepted then and will be stored without its caller, and
// the error is [audit.ErrPending]. Record returns the same error when the record has gone
// to the spool because the database is away.
//
// All other errors are final. [audit.ErrInvalidRecord], [audit.ErrConflict] and
// [audit.ErrRefused] mean that the record is at fault. For ErrRefused the Recorder must
// have seen the database accept another record. [audit.ErrDropped] means that there is no
// room to keep the record, [audit.ErrClosed] that the Recorder is closed. Each error is
// wrapped in an *[audit.PersistError].
//
// The record of a lone caller is sent at once. The result is that of [Store.Persist].
func (r *Recorder) Record(ctx context.Context, rec audit.Record) (audit.Result, error) {
	if err := r.prepare(ctx, &rec); err != nil {
		return audit.Result{AuditID: rec.AuditID}, err
	}
	result, err := r.acceptor.record(ctx, &rec)
	result.AuditID = rec.AuditID
	return result, r.failure(ctx, &rec, err)
}

// Enqueue accepts one record and returns at once, in microseconds, regardless of the
// database's state. When it returns nil, the record will be stored, kept in the spool, or
// kept in the spool's directory rejected with the database's reason. Until then it is in
// memory: a process that is killed loses it, and a Recorder that is closed does not.
//
// Each error is wrapped in an *[audit.PersistError]: [audit.ErrInvalidRecord],
// [audit.ErrClosed], or [audit.ErrDropped] if the queue is full because neither the
// database nor the spool keeps pace. Set the record's AuditID if you want to refer to it
// later.
func (r *Recorder) Enqueue(rec audit.Record) error {
	return r.enqueue(context.Background(), rec)
}

// enqueue does not wait. It passes the context's values to observers, and uses nothing else
// of it.
func (r *Recorder) enqueue(ctx context.Context, rec audit.Record) error {
	if err := r.prepare(ctx, &rec); err != nil {
		return err
	}
	return r.failure(ctx, &rec, r.acceptor.enqueue(ctx, &rec))
}

// Emit submits one record in the way that its class demands: the classes of
// [RecorderConfig.WaitFor] by [Recorder.Record], the others by [Recorder.Enqueue]. It has
// the contract of the predecessor's persist_audit_record. True means that the record is
// stored, accepted, or skipped in a replay. False means that it is refused, which is logged
// and counted. Emit does not panic, and returns within [RecorderConfig.WaitTimeout].
func (r *Recorder) Emit(ctx context.Context, rec audit.Record) (accepted bool) {
	var err error
	if slices.Contains(r.config.WaitFor, rec.EnvelopeClass.OrUnknown()) {
		_, err = r.Record(ctx, rec)
	} else {
		err = r.enqueue(ctx, rec)
	}
	return err == nil || errors.Is(err, audit.ErrPending)
}

// Flush waits until every record that was accepted before the call is durable: stored, in
// the spool, or rejected. When ctx ends first, the records that are left go to the spool.
//
// [audit.ErrPending] means that some records are still in memory: the database does not
// answer, or the spool takes nothing. [audit.ErrDropped] means that records were in the
// spool and that someone has removed, replaced or shortened their file.
func (r *Recorder) Flush(ctx context.Context) error { return r.acceptor.flush(ctx) }

// Close accepts no more records and stores what is in the queue, until ctx ends. What is
// left goes to the spool, at once if the database is away. Then Close ends the Recorder's
// goroutines and releases the directory. It may take 250 ms longer than ctx, and as long as
// the disk takes.
//
// [audit.ErrDropped] means that the spool did not take what was left, or has lost records.
// Closing twice is the same as closing once.
func (r *Recorder) Close(ctx context.Context) error { return r.acceptor.close(ctx) }

// Stats returns the Recorder's counts and gauges. [Store.Stats] does not count its records.
func (r *Recorder) Stats() audit.RecorderStats {
	stats := r.acceptor.stats()
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
	return r.store.reportOne(ctx, rec, audit.Result{}, finished{err: err})
}

// failure gives an acceptor's error its final form. The acceptor has reported every record
// that it accepted. If it is closed, it has reported nothing.
func (r *Recorder) failure(ctx context.Context, rec *audit.Record, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, audit.ErrClosed):
		return r.refuse(ctx, rec, err)
	default:
		return persistError(rec, finished{err: err})
	}
}
