package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Close accepts nothing more, waits until the queue is empty, at most until ctx
// ends, and ends the machine. What is left goes to the dead-letter directory.
// While the database is away it is not waited for.
func (r *Recorder) Close(ctx context.Context) error {
	r.closing.Do(func() {
		r.queue.close()
		r.drainQueue(ctx)
		r.quit()
		r.running.Wait()
		r.ending = r.finish(ctx)
		close(r.closed)
	})
	<-r.closed // another Close may be at it
	return r.ending
}

// drainQueue waits for the queue to become empty.
func (r *Recorder) drainQueue(ctx context.Context) {
	for {
		settling := r.queue.nextSettling()
		if _, _, ok := r.queue.oldest(); !ok || r.health.isAway() {
			return
		}
		select {
		case <-settling: // by the flusher, by the spiller, or back to the queue after a failure
		case <-ctx.Done():
			return
		}
	}
}

// finish keeps what is left, records what cannot be kept, and gives the directory free.
func (r *Recorder) finish(ctx context.Context) error {
	late := context.WithoutCancel(ctx) // what is left must be kept, however late it is
	var err error
	if spillErr := r.evacuate(late, math.MaxInt64); spillErr != nil {
		err = r.loseRest(late, spillErr)
	}
	r.keepGaps(ctx)
	if closeErr := r.letters.Close(); closeErr != nil && err == nil {
		err = fmt.Errorf("closing the dead-letter directory: %w", closeErr)
	}
	return err
}

// evacuate brings what waits, up to a ticket, to the directory.
func (r *Recorder) evacuate(ctx context.Context, last int64) error {
	for {
		oldest, waits := r.queue.oldestWaiting()
		if !waits || oldest > last {
			return nil
		}
		if err := r.spillGroup(ctx); err != nil {
			return err
		}
	}
}

// loseRest takes down the records that neither the database nor the directory took.
func (r *Recorder) loseRest(ctx context.Context, cause error) error {
	lost := 0
	for {
		rest := r.queue.take(spillerHand, maxGroup, maxGroupBytes)
		if len(rest) == 0 {
			break
		}
		for _, e := range rest {
			r.ledger.move(e.rec.EnvelopeClass, queued, dropped)
			r.end(ctx, e, r.lost(ctx, &e.rec, cause))
		}
		lost += len(rest)
		r.queue.settle(spillerHand, nil)
	}
	return fmt.Errorf("closing the recorder: %w: %d records: %w", audit.ErrDropped, lost, cause)
}

// keepGaps records the gaps that are left: in the database if it answers, else in
// the directory, else in the log alone.
func (r *Recorder) keepGaps(ctx context.Context) {
	if r.health.answers() && r.recordGaps(ctx, true) == nil {
		return
	}
	for _, gap := range r.gaps.unsaved() {
		level, attrs := slog.LevelWarn, gapAttrs(&gap)
		if err := r.letters.SaveGap(gap); err != nil {
			level = slog.LevelError
			attrs = append(attrs, slog.String("error", err.Error()))
		}
		r.log.LogAttrs(ctx, level, "audit_gap_not_recorded", attrs...)
	}
}
