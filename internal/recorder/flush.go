package recorder

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// maxBatchBytes keeps a batch of large records below what one statement should carry.
const maxBatchBytes = 16 << 20

// flush is the flusher: it takes what waits, sends it as one batch, and meanwhile
// the next one gathers (group commit). A lone record is sent at once.
func (r *Recorder) flush(ctx context.Context) {
	sender := r.newSender(false)
	company := company{queue: r.queue}
	delay := backoff{first: r.config.FirstDelay, most: r.config.MaxDelay}
	for awaken(ctx, r.queue.ready) {
		company.await(ctx)
		batch := r.queue.take(flusherHand, sender.limit, maxBatchBytes)
		if len(batch) == 0 {
			continue
		}
		rest, err := r.flushBatch(ctx, sender, &company, batch)
		r.queue.settle(flusherHand, rest)
		if err == nil {
			delay.reset()
			continue
		}
		if !pause(ctx, delay.next(), r.health.nextAnswer()) {
			return
		}
	}
}

// flushBatch sends a batch, answers for what was decided, and returns the rest.
func (r *Recorder) flushBatch(ctx context.Context, sender *sender, company *company, batch []*entry) (rest []*entry, err error) {
	recs := make([]audit.Record, len(batch))
	for i, e := range batch {
		recs[i] = e.rec
	}
	start := time.Now()
	verdicts, err := sender.send(ctx, recs)
	company.met(batch, time.Since(start))
	for i, e := range batch {
		v := &verdicts[i]
		switch {
		case v.open():
			rest = append(rest, e)
		case v.refused != nil:
			r.end(ctx, e, r.reject(ctx, &e.rec, v.refused))
		default:
			r.ledger.move(e.rec.EnvelopeClass, queued, stored(v.receipt))
			r.hooks.settled(e.context(ctx), &e.rec, v.receipt, nil, time.Since(e.accepted))
			e.reply(answer{receipt: v.receipt})
		}
	}
	return rest, err
}

// stored is the state of a record with a receipt.
func stored(receipt audit.Receipt) state {
	if receipt.Outcome == audit.AlreadyPersisted {
		return alreadyPersisted
	}
	return persisted
}

// reject keeps a record that the database refuses for good. One that cannot be
// kept is lost, which is not the other records' to wait for.
func (r *Recorder) reject(ctx context.Context, rec *audit.Record, refused error) error {
	if err := r.letters.Reject(rec, refused.Error(), sqlState(refused)); err != nil {
		r.ledger.move(rec.EnvelopeClass, queued, dropped)
		return r.lost(ctx, rec, fmt.Errorf("refused by the database, and %w", err))
	}
	r.ledger.move(rec.EnvelopeClass, queued, rejected)
	return refused
}

// end tells of a record that is not stored and never will be.
func (r *Recorder) end(ctx context.Context, e *entry, err error) {
	r.hooks.settled(e.context(ctx), &e.rec, audit.Receipt{}, err, time.Since(e.accepted))
	e.reply(answer{err: err})
}

// context is the caller's, for whom the record's end is told, or the machine's own.
func (e *entry) context(own context.Context) context.Context {
	if e.caller != nil {
		return e.caller
	}
	return own
}

func (e *entry) reply(a answer) {
	if e.answer != nil {
		e.answer <- a
	}
}
