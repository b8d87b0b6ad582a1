// Package recorder is the machine behind coordaudit.Recorder: a bounded queue, a
// flusher that brings it to the database in batches, a spiller that brings what
// the database does not take to the dead-letter directory, and a drainer that
// takes it back in.
//
//	push ─▶ queue ─▶ flusher ─▶ database
//	          │                    ▲
//	          └─▶ spiller ─▶ dead letters ─▶ drainer
//
// The flusher gives what it could not store back to the queue, so that a record
// is always in one place: queue, dead-letter directory or database. The spiller
// takes from the queue while the database is away, and while the queue is crowded.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/deadletter"
)

// Config sets the machine's bounds. It has no defaults: the caller has decided.
type Config struct {
	MaxRecords int
	MaxBytes   int64
	MaxBatch   int

	// AttemptTimeout bounds one batch's way to the database.
	AttemptTimeout time.Duration

	// RetryBudget is how long batches may fail before the database counts as away.
	RetryBudget time.Duration

	// FirstDelay and MaxDelay bound the back-off.
	FirstDelay, MaxDelay time.Duration

	// Now is the clock of what is stored: a gap's times.
	Now func() time.Time

	Logger *slog.Logger
}

// Database is what the machine asks of one. Each call is one attempt.
type Database interface {
	Persist(ctx context.Context, rec *audit.Record) (audit.Receipt, error)
	PersistMany(ctx context.Context, recs []audit.Record) ([]auditdriver.Result, error)
	PersistGap(ctx context.Context, gap *audit.Gap) error
}

// Recorder is the running machine.
type Recorder struct {
	config   Config
	database Database
	letters  *deadletter.Directory
	hooks    hooks
	log      *slog.Logger
	queue    *queue
	ledger   ledger
	health   *health
	gaps     *gaps

	spilling sync.Mutex    // guards spillerHand: the spiller's, or whoever evacuates
	drain    chan struct{} // wakes the drainer

	batchedRecords, flushNanos, retries atomic.Int64

	closing sync.Once
	quit    context.CancelFunc
	running sync.WaitGroup
	closed  chan struct{}
	ending  error // what Close returns, once closed
}

// Start starts the machine on an opened dead-letter directory, which it closes.
func Start(config Config, database Database, letters *deadletter.Directory, found deadletter.Found, tell Teller) *Recorder {
	log := slog.New(calm{config.Logger.Handler()})
	r := &Recorder{
		config:   config,
		database: database,
		letters:  letters,
		hooks:    hooks{Teller: tell, log: log},
		log:      log,
		gaps:     newGaps(config.Now, found.Gaps),
		drain:    make(chan struct{}, 1),
		closed:   make(chan struct{}),
	}
	r.queue = newQueue(config.MaxRecords, config.MaxBytes, &r.ledger)
	r.health = newHealth(config.RetryBudget, r.queue.setUrgent)
	for class, n := range found.Records {
		r.ledger.acceptMany(class, deadLettered, n)
	}
	ctx, quit := context.WithCancel(context.Background())
	r.quit = quit
	r.running.Go(func() { r.flush(ctx) })
	r.running.Go(func() { r.spill(ctx) })
	r.running.Go(func() { r.drainLetters(ctx) })
	return r
}

// Enqueue accepts a valid record without waiting for anything but a lock.
func (r *Recorder) Enqueue(ctx context.Context, rec *audit.Record) error {
	err := r.queue.push(newEntry(rec))
	if errors.Is(err, errFull) {
		return r.drop(ctx, rec, errFull)
	}
	return err
}

// Record accepts a valid record and waits for its commit, up to ctx's end. A full
// queue is waited for, too.
func (r *Recorder) Record(ctx context.Context, rec *audit.Record) (audit.Receipt, error) {
	e := newEntry(rec)
	e.answer, e.caller = make(chan answer, 1), context.WithoutCancel(ctx)
	if err := r.pushWaiting(ctx, e); err != nil {
		if errors.Is(err, errFull) {
			err = r.drop(ctx, rec, err)
		}
		return audit.Receipt{}, err
	}
	select {
	case a := <-e.answer:
		return a.receipt, a.err
	case <-ctx.Done():
		return audit.Receipt{}, fmt.Errorf("%w: it waits in the queue: %w", audit.ErrPending, context.Cause(ctx))
	}
}

func (r *Recorder) pushWaiting(ctx context.Context, e *entry) error {
	for {
		settling := r.queue.nextSettling()
		err := r.queue.push(e)
		if !errors.Is(err, errFull) {
			return err
		}
		select {
		case <-settling:
		case <-ctx.Done():
			return err
		}
	}
}

// Flush waits until every record that was accepted before it is durable: stored,
// in the dead-letter directory, or rejected. At ctx's end what is left goes to the
// directory.
func (r *Recorder) Flush(ctx context.Context) error {
	last := r.queue.newest()
	for {
		settling := r.queue.nextSettling()
		if oldest, _, ok := r.queue.oldest(); !ok || oldest > last {
			return nil
		}
		select {
		case <-settling:
		case <-r.closed:
			return r.ending
		case <-ctx.Done():
			return r.flushToDirectory(context.WithoutCancel(ctx), last)
		}
	}
}

// flushToDirectory brings what waits to the directory. A batch that is under way
// may end either way.
func (r *Recorder) flushToDirectory(ctx context.Context, last int64) error {
	if err := r.evacuate(ctx, last); err != nil {
		return fmt.Errorf("%w: flushing the queue: %w", audit.ErrPending, err)
	}
	if oldest, _, ok := r.queue.oldest(); ok && oldest <= last {
		return fmt.Errorf("%w: a batch is on its way to the database: %w", audit.ErrPending, context.DeadlineExceeded)
	}
	return nil
}

// Stats returns the counts and gauges of this moment.
func (r *Recorder) Stats() audit.RecorderStats {
	stats := audit.RecorderStats{
		ByClass:         r.ledger.counts(),
		QueueBytes:      r.queue.bytes(),
		Available:       r.health.answers(),
		Batches:         r.health.storedBatches(),
		BatchedRecords:  r.batchedRecords.Load(),
		FlushDuration:   time.Duration(r.flushNanos.Load()),
		Retries:         r.retries.Load(),
		DeadLetterBytes: r.letters.Bytes(),
	}
	if _, accepted, ok := r.queue.oldest(); ok {
		stats.OldestAge = time.Since(accepted)
	}
	return stats
}
