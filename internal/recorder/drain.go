package recorder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/deadletter"
)

// maxYield is how long a batch of dead letters gives way to a crowd that waits to
// be stored for the first time.
const maxYield = 100 * time.Millisecond

// drainer takes dead letters back in, in their order, and records gaps. Its
// attempts are also what finds out that the database is back.
type drainer struct {
	*sender
	inHand *deadletter.Batch // taken and not done
	sent   int               // how many of its records are
}

func (r *Recorder) drainLetters(ctx context.Context) {
	d := drainer{sender: r.newSender(true)}
	delay := backoff{first: r.config.FirstDelay, most: r.config.MaxDelay}
	for d.await(ctx) {
		if err := d.drainOnce(ctx); err == nil {
			delay.reset()
			continue
		}
		if !pause(ctx, delay.next(), r.health.nextAnswer()) {
			return
		}
	}
}

// await waits until there is something to take in or to record, and reports false
// when the machine ends.
func (d *drainer) await(ctx context.Context) bool {
	for {
		due, pending := d.gaps.due()
		switch {
		case ctx.Err() != nil:
			return false
		case !d.letters.Empty(), pending && due <= 0:
			return true
		case !pending:
			due = time.Hour // nothing is due: whoever leaves something wakes us
		}
		timer := time.NewTimer(due)
		select {
		case <-d.drain:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (d *drainer) drainOnce(ctx context.Context) (err error) {
	if err := d.recordGaps(ctx, false); err != nil && !errors.Is(err, errGapRefused) {
		return err
	}
	d.yield(ctx)
	if d.inHand == nil {
		d.sent = 0
		if d.inHand, err = d.letters.Next(d.limit); err != nil {
			d.log.LogAttrs(ctx, slog.LevelError, "audit_dead_letters_unreadable", slog.String("error", err.Error()))
			return err
		}
	}
	if d.inHand == nil {
		return ctx.Err()
	}
	for class, n := range d.inHand.Miscounted { // somebody else has been at the file
		d.ledger.acceptMany(class, deadLettered, n)
	}
	d.inHand.Miscounted = nil
	return d.drainBatch(ctx)
}

// yield lets records that were never sent go first: they are in memory still.
func (d *drainer) yield(ctx context.Context) {
	for end := time.Now().Add(maxYield); time.Now().Before(end); {
		if waiting, _ := d.queue.waits(); waiting <= d.config.MaxBatch || d.health.isAway() {
			return
		}
		if !pause(ctx, maxYield/20, nil) {
			return
		}
	}
}

// drainBatch stores the batch in hand. It is removed from the directory only when
// each of its records is stored or rejected; until then any of them may be sent
// again, which is safe.
func (d *drainer) drainBatch(ctx context.Context) error {
	for d.sent < len(d.inHand.Records) {
		part := d.inHand.Records[d.sent:]
		part = part[:min(len(part), d.limit)]
		verdicts, err := d.send(ctx, part)
		if err != nil {
			return err
		}
		if err := d.settle(ctx, part, verdicts); err != nil {
			return err
		}
		d.sent += len(part)
	}
	for len(d.inHand.Bad) > 0 {
		bad := d.inHand.Bad[0]
		if err := d.letters.RejectLine(bad); err != nil {
			return d.keepingFailed(ctx, err)
		}
		d.ledger.move(bad.Class, deadLettered, rejected)
		d.log.LogAttrs(ctx, slog.LevelError, "audit_dead_letter_damaged", slog.String("error", bad.Reason))
		d.inHand.Bad = d.inHand.Bad[1:]
	}
	err := d.letters.Done(d.inHand)
	d.inHand = nil
	if err != nil { // its records will be sent again by the next process, which is safe
		return d.keepingFailed(ctx, err)
	}
	return nil
}

// settle keeps the refused ones first: one that cannot be kept stays where it is,
// and all of them are sent again.
func (d *drainer) settle(ctx context.Context, recs []audit.Record, verdicts []verdict) error {
	for i := range verdicts {
		if v := &verdicts[i]; v.refused != nil {
			if err := d.letters.Reject(&recs[i], v.refused.Error(), sqlState(v.refused)); err != nil {
				return d.keepingFailed(ctx, err)
			}
		}
	}
	for i := range recs {
		v, to := &verdicts[i], rejected
		if v.refused == nil {
			to = stored(v.receipt)
		}
		d.ledger.move(recs[i].EnvelopeClass, deadLettered, to)
		d.hooks.settled(ctx, &recs[i], v.receipt, v.refused, 0)
	}
	return nil
}

func (d *drainer) keepingFailed(ctx context.Context, err error) error {
	d.log.LogAttrs(ctx, slog.LevelError, "audit_dead_letters_failing", slog.String("error", err.Error()))
	return err
}
