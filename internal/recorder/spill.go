package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A group is what the spiller writes with one fsync.
const (
	maxGroup      = 4096
	maxGroupBytes = 8 << 20
)

// gathering is how long a group gathers while the database is away, after the one
// before it: that many fsyncs are enough, and a push need not wake the spiller.
const gathering = 5 * time.Millisecond

// spill is the spiller: it brings records to the dead-letter directory while the
// database is away, and while the queue is crowded.
func (r *Recorder) spill(ctx context.Context) {
	delay := backoff{first: r.config.FirstDelay, most: r.config.MaxDelay}
	failing := false
	for r.awaitSpill(ctx) {
		err := r.spillGroup(ctx)
		switch {
		case err == nil:
			delay.reset()
			failing = false
			if r.health.isAway() && !pause(ctx, gathering, nil) {
				return
			}
			continue
		case !failing: // once, not at every attempt
			failing = true
			r.log.LogAttrs(ctx, slog.LevelError, "audit_dead_letters_failing", slog.String("error", err.Error()))
		}
		if !pause(ctx, delay.next(), nil) {
			return
		}
	}
}

// awaitSpill waits until there is something to spill, and reports false when the
// machine ends.
func (r *Recorder) awaitSpill(ctx context.Context) bool {
	for {
		if _, crowded := r.queue.waits(); crowded {
			return ctx.Err() == nil
		}
		if !awaken(ctx, r.queue.crowded) {
			return false
		}
	}
}

// spillGroup writes the oldest waiting records to the directory and answers those
// who wait for them.
func (r *Recorder) spillGroup(ctx context.Context) error {
	r.spilling.Lock()
	defer r.spilling.Unlock()
	group := r.queue.take(spillerHand, maxGroup, maxGroupBytes)
	recs := make([]audit.Record, len(group))
	for i, e := range group {
		recs[i] = e.rec
	}
	if len(recs) == 0 {
		return nil
	}
	if err := r.letters.Append(recs); err != nil {
		r.queue.settle(spillerHand, group)
		return err
	}
	for _, e := range group {
		r.ledger.move(e.rec.EnvelopeClass, queued, deadLettered)
		e.reply(answer{err: fmt.Errorf("%w: it is in the dead-letter directory", audit.ErrPending)})
	}
	r.queue.settle(spillerHand, nil)
	r.log.LogAttrs(ctx, slog.LevelDebug, "audit_dead_lettered", slog.Int("records", len(group)))
	signal(r.drain)
	return nil
}
