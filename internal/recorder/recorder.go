// Package recorder is the machine behind coordaudit.Recorder. A bounded queue takes
// records. The flusher sends them to the database in batches. The spiller writes to the
// spool what the database does not take. The drainer sends spooled records to the database.
//
//	Record, Enqueue ─▶ queue ─▶ flusher ─▶ sender ─▶ database
//	                     │                   ▲
//	                     └─▶ spiller ─▶ spool ─▶ drainer
//
// The flusher returns to the queue what it could not store, so that a record is always in
// one place: queue, spool or database. The spiller takes from the queue while the database
// is away, and while the queue is crowded.
//
// Read a record's way in this order: recorder.go accepts it, queue.go holds it, flush.go
// and send.go store it, spill.go and drain.go take the detour over the disk. If the
// database refuses it, bisection.go and proof.go find out whether the record is at fault.
// If it can be kept nowhere, losses.go counts it and gaps.go puts it on record.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	callerhooks "github.com/hoc-analytics/coordaudit/internal/hooks"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// Config sets the machine's bounds. It has no defaults: the caller has decided.
type Config struct {
	MaxRecords int
	MaxBytes   int64
	MaxBatch   int

	// AttemptTimeout bounds one attempt to store a batch.
	AttemptTimeout time.Duration

	// RetryBudget is how long batches may fail before the database counts as away.
	RetryBudget time.Duration

	// FirstDelay and MaxDelay bound the back-off.
	FirstDelay, MaxDelay time.Duration

	// Source is the id of this run, and Label says who it is.
	Source uuid.UUID
	Label  string

	// Now is the clock for the times of a gap, which are stored.
	Now func() time.Time

	Logger *slog.Logger

	// Hooks guards the calls of Logger's handler and of the Reporter. Nil means one of its own.
	Hooks *callerhooks.Guard
}

// Database is what the machine needs of the database. Each call is one attempt.
type Database interface {
	recordStore
	gapStore
	statementStore
}

// Recorder is the running machine.
type Recorder struct {
	hooks   *callerhooks.Guard
	reports *reports
	queue   *queue
	ledger  *ledger
	health  *health
	meters  *meters
	losses  *losses
	gaps    *gapWriter
	spool   *spool.Directory

	statements *statements

	spiller *spiller
	drainer *drainer

	closing sync.Once
	quit    context.CancelFunc
	running sync.WaitGroup
	closed  chan struct{}
	ending  error // what Close returns, once closed
}

// Start starts the machine on an open spool. The machine closes the spool.
func Start(config Config, database Database, dir *spool.Directory, found spool.Found, reporter Reporter) *Recorder {
	if config.Hooks == nil {
		config.Hooks = &callerhooks.Guard{}
	}
	r, flusher := assemble(config, database, dir, found, reporter)
	for class, n := range found.Records {
		r.ledger.acceptMany(class, spooled, n)
	}
	ctx, quit := context.WithCancel(context.Background())
	r.quit = quit
	r.running.Go(func() { flusher.run(ctx) })
	r.running.Go(func() { r.spiller.run(ctx) })
	r.running.Go(func() { r.drainer.run(ctx) })
	r.running.Go(func() { r.statements.run(ctx) })
	return r
}

// assemble gives each part what it needs, and no more.
func assemble(config Config, database Database, dir *spool.Directory, found spool.Found, reporter Reporter) (*Recorder, *flusher) {
	log := callerhooks.NewLogger(config.Logger, config.Hooks)
	ledger, meters, trial := &ledger{}, &meters{}, newTrial()
	queue := newQueue(config.MaxRecords, config.MaxBytes, ledger, config.Source)
	last := lastStatements(found)
	book := newBook(config, queue, last, found.Ordinals)
	statements := newStatements(config, book, queue, database, dir, found.Statements, last, log)
	health := newHealth(config.RetryBudget, queue.setUrgent, log)
	reports := &reports{to: reporter, guard: config.Hooks, log: config.Logger}
	delay := backoff{first: config.FirstDelay, max: config.MaxDelay}
	wakeDrainer := make(chan struct{}, 1)

	gaps := newGaps(config.Now, found.Gaps)
	losses := &losses{ledger: ledger, gaps: gaps, book: book, files: dir, log: log, wake: wakeDrainer}
	gapWriter := &gapWriter{
		gaps: gaps, database: database, files: dir, health: health, log: log,
		timeout: config.AttemptTimeout, maxDelay: config.MaxDelay,
	}
	senderFor := func(fromSpool bool) *sender {
		attempts := &attempts{
			database: database, timeout: config.AttemptTimeout, fromSpool: fromSpool,
			cover: statements.cover, source: config.Source, health: health, reports: reports, meters: meters,
		}
		return newSender(attempts, config.MaxBatch)
	}
	flusher := &flusher{
		queue: queue, ledger: ledger, sender: senderFor(false), trial: trial, delay: delay, health: health,
		group: groupCommit{queue: queue}, rejects: dir, losses: losses, book: book, reports: reports,
	}
	spiller := &spiller{queue: queue, ledger: ledger, health: health, files: dir, statements: statements, delay: delay, log: log, wakeDrainer: wakeDrainer}
	drainer := &drainer{
		files: dir, sender: senderFor(true), trial: trial, delay: delay, maxBatch: config.MaxBatch, wake: wakeDrainer,
		queue: queue, ledger: ledger, health: health, losses: losses, book: book, gaps: gapWriter, reports: reports, log: log,
	}
	return &Recorder{
		hooks: config.Hooks, reports: reports, queue: queue, ledger: ledger, health: health, meters: meters,
		losses: losses, gaps: gapWriter, spool: dir, statements: statements, spiller: spiller, drainer: drainer, closed: make(chan struct{}),
	}, flusher
}

// Enqueue accepts a valid record. It waits for a lock, and for nothing else.
func (r *Recorder) Enqueue(ctx context.Context, rec *audit.Record) error {
	err := r.queue.push(newEntry(rec))
	if errors.Is(err, errFull) {
		return r.drop(ctx, rec, errFull)
	}
	return err
}

// Record accepts a valid record and waits for its commit until ctx ends. It also waits
// for room while the queue is full.
func (r *Recorder) Record(ctx context.Context, rec *audit.Record) (audit.Result, error) {
	e := newEntry(rec)
	e.answer, e.caller = make(chan answer, 1), context.WithoutCancel(ctx)
	if err := r.pushWaiting(ctx, e); err != nil {
		if errors.Is(err, errFull) {
			err = r.drop(ctx, rec, err)
		}
		return audit.Result{}, err
	}
	select {
	case a := <-e.answer:
		return a.result, a.err
	case <-ctx.Done():
		return audit.Result{}, fmt.Errorf("%w: it waits in the queue: %w", audit.ErrPending, context.Cause(ctx))
	}
}

func (r *Recorder) pushWaiting(ctx context.Context, e *entry) error {
	for {
		finish := r.queue.nextFinish()
		err := r.queue.push(e)
		if !errors.Is(err, errFull) {
			return err
		}
		select {
		case <-finish:
		case <-ctx.Done():
			return err
		}
	}
}

// drop records the loss of a record for which there is no room.
func (r *Recorder) drop(ctx context.Context, rec *audit.Record, cause error) error {
	r.ledger.accept(rec.EnvelopeClass, dropped)
	err := r.losses.addUnnumbered(ctx, rec, r.queue, cause)
	r.reports.finished(report{ctx: ctx, rec: rec, err: err})
	return err
}

// Stats returns the counts and gauges of this moment.
func (r *Recorder) Stats() audit.RecorderStats {
	stats := audit.RecorderStats{
		ByClass:        r.ledger.counts(),
		QueueBytes:     r.queue.bytes(),
		Available:      r.health.answers(),
		Batches:        r.health.storedBatches(),
		BatchedRecords: r.meters.batchedRecords.Load(),
		FlushDuration:  time.Duration(r.meters.flushNanos.Load()),
		Retries:        r.meters.retries.Load(),
		SpoolBytes:     r.spool.Bytes(),
		SkippedHooks:   r.hooks.Skipped(),
	}
	if _, accepted, ok := r.queue.oldest(); ok {
		stats.OldestAge = time.Since(accepted)
	}
	return stats
}
