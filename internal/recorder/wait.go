package recorder

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Flush waits until every record that was accepted before it is durable: stored, in the
// spool, or rejected. When ctx ends, what is left goes to the spool. Then Flush checks that
// the spool still holds what was written to it.
func (r *Recorder) Flush(ctx context.Context) error {
	if err := r.flushQueue(ctx); err != nil {
		return err
	}
	select {
	case <-r.closed:
		return nil
	default:
	}
	if err := r.losses.check(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("flushing the queue: %w", err)
	}
	return nil
}

func (r *Recorder) flushQueue(ctx context.Context) error {
	last := r.queue.newest()
	for {
		finish := r.queue.nextFinish()
		if oldest, _, ok := r.queue.oldest(); !ok || oldest > last {
			return nil
		}
		select {
		case <-finish:
		case <-r.closed:
			return r.ending
		case <-ctx.Done():
			return r.flushToSpool(context.WithoutCancel(ctx), last)
		}
	}
}

// flushToSpool writes to the spool what waits. A batch in flight may end either way.
func (r *Recorder) flushToSpool(ctx context.Context, last int64) error {
	if err := r.spiller.evacuate(ctx, last); err != nil {
		return fmt.Errorf("%w: flushing the queue: %w", audit.ErrPending, err)
	}
	if oldest, _, ok := r.queue.oldest(); ok && oldest <= last {
		return fmt.Errorf("%w: a batch is on its way to the database: %w", audit.ErrPending, context.DeadlineExceeded)
	}
	return nil
}

// Close accepts no more records, waits until the queue is empty or ctx ends, and ends the
// machine. What is left goes to the spool. Close does not wait for a database that is away.
func (r *Recorder) Close(ctx context.Context) error {
	r.closing.Do(func() {
		r.queue.close()
		r.awaitEmptyQueue(ctx)
		r.quit()
		r.running.Wait()
		r.ending = r.finish(ctx)
		close(r.closed)
	})
	<-r.closed // another Close may be in progress
	return r.ending
}

func (r *Recorder) awaitEmptyQueue(ctx context.Context) {
	for {
		finish := r.queue.nextFinish()
		if _, _, ok := r.queue.oldest(); !ok || r.health.isAway() {
			return
		}
		select {
		case <-finish: // by the flusher or the spiller; after a failure entries are back in the queue
		case <-ctx.Done():
			return
		}
	}
}

// finish keeps what is left, records the loss of what cannot be kept, and closes the spool.
func (r *Recorder) finish(ctx context.Context) error {
	late := context.WithoutCancel(ctx) // what is left must be kept, however late it is
	var err error
	if spillErr := r.spiller.evacuate(late, math.MaxInt64); spillErr != nil {
		err = r.loseRest(late, spillErr)
	}
	if lostErr := errors.Join(r.drainer.lost, r.losses.check(late)); lostErr != nil && err == nil {
		err = fmt.Errorf("closing the recorder: %w", lostErr)
	}
	r.gaps.keep(ctx)
	r.statements.close(ctx, r.health.answers())
	if closeErr := r.spool.Close(); closeErr != nil && err == nil {
		err = fmt.Errorf("closing the spool: %w", closeErr)
	}
	return err
}

// loseRest records the loss of the records that neither the database nor the spool took.
func (r *Recorder) loseRest(ctx context.Context, cause error) error {
	lost := r.spiller.abandon(func(rest []*entry) {
		ends := make([]report, len(rest))
		for i, e := range rest {
			r.ledger.move(e.rec.EnvelopeClass, queued, dropped)
			ends[i] = e.report(ctx, audit.Result{}, r.losses.addEntry(ctx, e, cause))
		}
		r.reports.answer(rest, ends)
	})
	return fmt.Errorf("closing the recorder: %w: %d records: %w", audit.ErrDropped, lost, cause)
}
