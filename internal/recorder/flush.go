package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// maxBatchBytes keeps a batch of large records below what one statement should carry.
const maxBatchBytes = 16 << 20

// flusher takes what waits in the queue and sends it as one batch, while the next batch
// gathers (group commit). A lone record is sent at once.
type flusher struct {
	queue   *queue
	ledger  *ledger
	sender  *sender
	trial   *trial
	group   groupCommit
	delay   backoff
	health  *health
	rejects rejectStore
	losses  *losses
	book    *book
	reports *reports
}

// rejectStore keeps records that the database refuses for their own sake.
type rejectStore interface {
	RejectAll(rejections []spool.Rejection) (kept int, err error)
}

func (f *flusher) run(ctx context.Context) {
	for awaken(ctx, f.queue.ready) {
		f.group.wait(ctx)
		batch := f.queue.take(byFlusher, f.sender.limit, maxBatchBytes)
		if len(batch) == 0 {
			continue
		}
		rest, err := f.flush(ctx, batch)
		f.queue.finish(byFlusher, rest)
		if err == nil {
			f.delay.reset()
			continue
		}
		if len(rest) < len(batch) { // the database answers, only not for all of them
			f.delay.reset()
		}
		if !pause(ctx, f.delay.next(), f.health.nextAnswer()) {
			return
		}
	}
}

// flush sends a batch, answers for the records that are decided, and returns the rest. It
// answers for stored records first, because they need not wait for the disk.
func (f *flusher) flush(ctx context.Context, batch []*entry) (rest []*entry, err error) {
	recs := make([]audit.Record, len(batch))
	for i, e := range batch {
		recs[i] = e.rec
	}
	suspects := f.trial.take()
	start := time.Now()
	sent, err := f.sender.send(ctx, recs, suspects)
	f.trial.decide(suspects, sent.others)
	f.group.observe(batch, time.Since(start))
	unknown := errors.Is(err, audit.ErrOutcomeUnknown)
	var decided fates
	var refused, done []*entry
	var rejections []spool.Rejection
	var ends []report
	for i, e := range batch {
		v := &sent.verdicts[i]
		switch {
		case v.open():
			e.inDoubt = e.inDoubt || unknown
			rest = append(rest, e)
		case v.refused != nil:
			refused = append(refused, e)
			rejections = append(rejections, rejection(&e.rec, v.refused))
		default:
			f.ledger.move(e.rec.EnvelopeClass, queued, stored(v.result))
			decided.add(e.rec.Origin, v.fate(e.inDoubt))
			done = append(done, e)
			ends = append(ends, e.report(ctx, v.result, nil))
		}
	}
	decided.enter(f.book)
	f.reports.answer(done, ends)
	f.reject(ctx, refused, rejections)
	return rest, err
}

// reject keeps the records that the database refuses for their own sake. A record that
// cannot be kept is lost: the other records do not wait for it.
func (f *flusher) reject(ctx context.Context, entries []*entry, rejections []spool.Rejection) {
	if len(entries) == 0 {
		return
	}
	kept, failed := f.rejects.RejectAll(rejections)
	ends := make([]report, len(entries))
	for i, e := range entries {
		err, to := rejections[i].Err, rejected
		if i >= kept {
			to = dropped
			err = f.losses.addEntry(ctx, e, fmt.Errorf("refused by the database, and %w", failed))
		} else {
			f.book.decide(e.rec.Origin, fateOfRefused(e.inDoubt))
		}
		f.ledger.move(e.rec.EnvelopeClass, queued, to)
		ends[i] = e.report(ctx, audit.Result{}, err)
	}
	f.reports.answer(entries, ends)
}

// stored is the state of a record with a result.
func stored(result audit.Result) state {
	if result.Outcome == audit.AlreadyPersisted {
		return alreadyPersisted
	}
	return persisted
}

// rejection keeps a record without its ordinal, which will never come: a later import of the
// file gives it another one.
func rejection(rec *audit.Record, refused error) spool.Rejection {
	unnumbered := *rec
	unnumbered.Origin.SourceID, unnumbered.Origin.SourceSeq = uuid.Nil, 0
	return spool.Rejection{Record: &unnumbered, Err: refused, SQLState: sqlState(refused)}
}
