package recorder

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// sender sends batches for one goroutine. It fits their size to what the database takes
// within the time of one attempt.
type sender struct {
	attempts *attempts
	maxBatch int
	limit    int // of the next batch

	// refusedAt is the number of insertions when the last batch was refused, or never.
	refusedAt int64

	// suspects are the last batch's records that were refused alone, by audit id.
	suspects map[uuid.UUID]bool
}

const never = math.MaxInt64

func newSender(attempts *attempts, maxBatch int) *sender {
	return &sender{attempts: attempts, maxBatch: maxBatch, limit: maxBatch, refusedAt: never}
}

// verdict is the database's answer for one record. The zero value means that it has not
// decided yet.
type verdict struct {
	result  audit.Result
	refused error

	// elsewhere: it was stored before, by another source or under another ordinal.
	elsewhere bool
}

func fateOfRefused(inDoubt bool) completeness.Fate {
	if inDoubt {
		return completeness.RejectedInDoubt
	}
	return completeness.Rejected
}

func (v *verdict) open() bool { return v.result.Outcome == "" && v.refused == nil }

// fate is what a statement says of a record that is decided. inDoubt: an earlier attempt to
// store it may have got no answer.
func (v *verdict) fate(inDoubt bool) completeness.Fate {
	switch {
	case v.refused != nil:
		return fateOfRefused(inDoubt)
	case v.elsewhere:
		return completeness.AlreadyPersisted
	default:
		return completeness.Present
	}
}

// sent is the outcome of a batch.
type sent struct {
	verdicts []verdict      // of the batch's records
	others   []verdict      // of the suspects that were tried along with them
	suspects []audit.Record // of the batch: refused alone, without proof so far
}

// send stores the records that the database takes. It tries others, the suspects of the
// other sender, along with them. If send returns an error, some verdicts are open: those
// records may be sent again.
func (s *sender) send(ctx context.Context, recs, others []audit.Record) (sent, error) {
	b := newBisection(s.attempts, recs, others, s.suspects, s.refusedAt)
	err := b.run(ctx)
	s.suspects = b.unprovenIDs()
	s.adapt(ctx, len(recs), err)
	return sent{verdicts: b.verdicts[:len(recs)], others: b.verdicts[len(recs):], suspects: b.gather(b.unproven())}, err
}

// adapt learns from a batch how to send the next one.
func (s *sender) adapt(ctx context.Context, size int, err error) {
	switch {
	case err == nil:
		s.limit = min(s.maxBatch, 2*s.limit)
		s.refusedAt = never
		return
	case ctx.Err() != nil: // the recorder is closing, which says nothing about the database
		return
	case errors.Is(err, audit.ErrRefused):
		s.refusedAt = s.attempts.insertions()
	case errors.Is(err, context.DeadlineExceeded):
		s.limit = max(1, size/2)
	}
	s.attempts.failed(ctx, err)
}

// meters count what the senders do.
type meters struct{ batchedRecords, flushNanos, retries atomic.Int64 }

// recordStore stores records. Each call is one attempt.
type recordStore interface {
	PersistItem(ctx context.Context, rec *audit.Record) (auditdriver.Item, error)
	PersistMany(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error)

	// DryRun tries records in one transaction that stores nothing. It stops at the first
	// record unless that one is inserted.
	DryRun(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error)
}

// attempts makes single attempts at the database, and measures and reports them.
type attempts struct {
	database  recordStore
	timeout   time.Duration
	fromSpool bool
	cover     func(ctx context.Context, through int64) error
	source    uuid.UUID // the recorder's own
	health    *health
	reports   *reports
	meters    *meters
}

// send sends a batch once. The items are those of records that the database judged one by one.
func (a *attempts) send(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
	if err := a.cover(ctx, a.through(recs)); err != nil {
		return nil, err
	}
	attemptCtx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	start := time.Now()
	items, err := a.persist(attemptCtx, recs)
	took := time.Since(start)
	if err == nil {
		if anyInserted(items) {
			a.health.noteInsertion()
		}
		a.health.noteSuccess(ctx)
		a.meters.batchedRecords.Add(int64(len(recs)))
		a.meters.flushNanos.Add(int64(took))
	}
	a.reports.flushed(ctx, audit.Flush{Records: len(recs), FromSpool: a.fromSpool, Duration: took, Err: err})
	return items, err
}

// through returns the highest of the recorder's own ordinals.
func (a *attempts) through(recs []audit.Record) (highest int64) {
	for i := range recs {
		if origin := &recs[i].Origin; origin.SourceSeq > highest && origin.SourceID == a.source {
			highest = origin.SourceSeq
		}
	}
	return highest
}

// dryRun tries records in a transaction of their own, which stores nothing.
func (a *attempts) dryRun(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.database.DryRun(ctx, recs)
}

func (a *attempts) insertions() int64 { return a.health.insertions() }

// failed notes that a batch will be sent again later.
func (a *attempts) failed(ctx context.Context, err error) {
	a.meters.retries.Add(1)
	a.health.noteFailure(ctx, err)
}

// persist sends a lone record by the statement for one record, which is faster.
func (a *attempts) persist(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
	if len(recs) > 1 {
		return a.database.PersistMany(ctx, recs)
	}
	item, err := a.database.PersistItem(ctx, &recs[0])
	if errors.Is(err, audit.ErrConflict) {
		return []auditdriver.Item{{Err: err}}, nil
	}
	return []auditdriver.Item{item}, err
}
