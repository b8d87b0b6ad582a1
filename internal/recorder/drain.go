package recorder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// maxYield is how long a batch of spooled records waits while a crowd of records waits to
// be stored for the first time.
const maxYield = 100 * time.Millisecond

// maxHeld is how many batches' worth of refused records the drainer holds. It is also how
// often the drainer takes more at once, to look behind them for a record that the database
// accepts.
const maxHeld = 4

// drainer sends spooled records to the database, in their order, and records gaps. Its
// attempts also find out that the database is back.
type drainer struct {
	files    spoolReader
	sender   *sender
	trial    *trial
	delay    backoff
	maxBatch int
	wake     <-chan struct{}

	queue   *queue
	ledger  *ledger
	health  *health
	losses  *losses
	book    *book
	gaps    *gapWriter
	reports *reports
	log     *slog.Logger

	held    []*heldBatch // taken and not done, oldest first
	refused bool         // the last batch was
	lost    error        // what was lost at the end; read it after run
}

// spoolReader gives the spooled records back. Append and RejectAll keep those that their
// files cannot keep.
type spoolReader interface {
	spoolWriter
	rejectStore
	Empty() bool
	Next(limit int) (*spool.Batch, error)
	Done(batch *spool.Batch) error
	Stale(batch *spool.Batch) bool
	KeepForLater(lines []spool.BadLine) error
}

func (d *drainer) run(ctx context.Context) {
	defer func() { d.lost = d.release(context.WithoutCancel(ctx)) }()
	for d.await(ctx) {
		progress, err := d.drain(ctx)
		if progress {
			d.delay.reset()
		}
		if err != nil && !pause(ctx, d.delay.next(), d.health.nextAnswer()) {
			return
		}
	}
}

// await waits until there is a record to send or a gap to record. It reports false when the
// machine ends.
func (d *drainer) await(ctx context.Context) bool {
	for {
		due, pending := d.gaps.due()
		switch {
		case ctx.Err() != nil:
			return false
		case !d.files.Empty(), pending && due <= 0:
			return true
		case !pending:
			due = time.Hour // nothing is due, and who adds something wakes the drainer
		}
		timer := time.NewTimer(due)
		select {
		case <-d.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// drain sends what is held, or takes more. It reports whether any record was decided.
func (d *drainer) drain(ctx context.Context) (progress bool, err error) {
	if err := d.gaps.record(ctx, false); err != nil && !errors.Is(err, errGapRefused) {
		return false, err
	}
	if err := d.keepStale(ctx); err != nil {
		return false, err
	}
	d.yield(ctx)
	if err := d.applyTrial(ctx); err != nil {
		return false, err
	}
	if len(d.held) == 0 {
		if _, err := d.take(ctx); err != nil {
			return false, err
		}
	}
	for range maxHeld {
		before := d.undecided()
		err = d.sendHeld(ctx)
		if keepErr := d.finishHeld(ctx); keepErr != nil {
			return true, errors.Join(err, keepErr)
		}
		progress = progress || err == nil || d.undecided() < before
		if d.refused = errors.Is(err, audit.ErrRefused); !d.refused || d.undecided() > maxHeld*d.maxBatch {
			break
		}
		// Only a record that is accepted can show which of the refused ones are at fault.
		if took, takeErr := d.take(ctx); takeErr != nil || !took {
			return progress, errors.Join(err, takeErr)
		}
	}
	return progress, err
}

// yield lets records that were never sent go first, because they are only in memory.
func (d *drainer) yield(ctx context.Context) {
	for end := time.Now().Add(maxYield); time.Now().Before(end); {
		if waiting, _ := d.queue.waits(); waiting <= d.maxBatch || d.health.isAway() {
			return
		}
		if !pause(ctx, maxYield/20, nil) {
			return
		}
	}
}

// take adds the spool's next batch to what is held.
func (d *drainer) take(ctx context.Context) (took bool, err error) {
	batch, err := d.files.Next(d.sender.limit)
	if err != nil {
		if gone, ok := errors.AsType[*spool.UnreadableError](err); ok && gone.Gone {
			return false, errors.Join(err, d.losses.addSpooled(ctx, gone))
		}
		d.log.LogAttrs(ctx, slog.LevelError, "audit_spool_unreadable", slog.String("error", err.Error()))
		return false, err
	}
	if batch == nil {
		return false, ctx.Err()
	}
	for class, n := range batch.Miscounted { // someone else has changed the file
		d.ledger.acceptMany(class, spooled, n)
	}
	d.held = append(d.held, newHeldBatch(batch))
	return true, nil
}

// sendHeld sends one batch of the records that are held, the oldest first. After a refusal
// it sends the newest, because those before them were already refused.
func (d *drainer) sendHeld(ctx context.Context) error {
	records := d.heldRecords()
	if len(records) == 0 {
		return nil
	}
	limit := d.sender.limit
	if d.refused {
		records = records[max(0, len(records)-limit):]
	}
	records = records[:min(len(records), limit)]
	recs := contentOf(records)
	sent, err := d.sender.send(ctx, recs, nil)
	d.trial.offer(sent.suspects[:min(maxTried, len(sent.suspects))])
	return errors.Join(err, d.finish(ctx, records, recs, sent.verdicts))
}

// applyTrial finishes the records that the flusher has proven to be at fault, or stored.
func (d *drainer) applyTrial(ctx context.Context) error {
	decided := d.trial.decided()
	if decided == nil {
		return nil
	}
	records := d.heldRecords()
	recs := contentOf(records)
	verdicts := make([]verdict, len(records))
	for i := range recs {
		verdicts[i] = decided[recs[i].AuditID]
	}
	return errors.Join(d.finish(ctx, records, recs, verdicts), d.finishHeld(ctx))
}
