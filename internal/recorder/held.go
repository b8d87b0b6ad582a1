package recorder

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// heldBatch is a batch of spooled records that the drainer holds until each of its records
// is decided.
type heldBatch struct {
	batch   *spool.Batch
	decided []bool // by record
	open    int    // the number of records that are not
}

func newHeldBatch(batch *spool.Batch) *heldBatch {
	n := len(batch.Records)
	return &heldBatch{batch: batch, decided: make([]bool, n), open: n}
}

func (h *heldBatch) decide(index int) {
	h.decided[index] = true
	h.open--
}

func (h *heldBatch) decideAll() {
	for i := range h.decided {
		h.decided[i] = true
	}
	h.open = 0
}

// heldRecord is one undecided record of a held batch.
type heldRecord struct {
	held  *heldBatch
	index int
}

func (h *heldBatch) undecided() (records []heldRecord) {
	for i := range h.decided {
		if !h.decided[i] {
			records = append(records, heldRecord{h, i})
		}
	}
	return records
}

func contentOf(records []heldRecord) []audit.Record {
	recs := make([]audit.Record, len(records))
	for i, record := range records {
		recs[i] = record.held.batch.Records[record.index]
	}
	return recs
}

func (d *drainer) heldRecords() (records []heldRecord) {
	for _, held := range d.held {
		records = append(records, held.undecided()...)
	}
	return records
}

// undecided is the number of records that are held and not decided.
func (d *drainer) undecided() (records int) {
	for _, held := range d.held {
		records += held.open
	}
	return records
}

// finish applies verdicts. It keeps the refused records first. A record that cannot be kept
// stays where it is and is sent again.
func (d *drainer) finish(ctx context.Context, records []heldRecord, recs []audit.Record, verdicts []verdict) (err error) {
	var rejections []spool.Rejection
	for i := range verdicts {
		if v := &verdicts[i]; v.refused != nil {
			rejections = append(rejections, rejection(&recs[i], v.refused))
		}
	}
	kept, err := d.files.RejectAll(rejections)
	if err != nil {
		err = d.keepingFailed(ctx, err)
	}
	var ends []report
	var decided fates
	for i := range verdicts {
		v, to := &verdicts[i], rejected
		switch {
		case v.open():
			continue
		case v.refused == nil:
			to = stored(v.result)
		case kept == 0:
			continue
		default:
			kept--
		}
		records[i].held.decide(records[i].index)
		d.ledger.move(recs[i].EnvelopeClass, spooled, to)
		decided.add(recs[i].Origin, v.fate(true)) // what was tried before it was spooled is not known
		ends = append(ends, report{ctx: ctx, rec: &recs[i], result: v.result, err: v.refused})
	}
	decided.enter(d.book)
	d.reports.finished(ends...)
	return err
}

// finishHeld gives up the batches whose records are all decided. Only then is a batch
// removed from the spool. Until then any of its records may be sent again, which is safe.
func (d *drainer) finishHeld(ctx context.Context) (err error) {
	d.held = slices.DeleteFunc(d.held, func(held *heldBatch) bool {
		if err != nil || held.open > 0 {
			return false
		}
		if err = d.rejectLines(ctx, held.batch); err != nil {
			return false
		}
		if doneErr := d.files.Done(held.batch); doneErr != nil {
			err = d.keepingFailed(ctx, doneErr) // the next process sends its records again, which is safe
		}
		return true
	})
	return err
}

// rejectLines keeps the batch's lines that are not records.
func (d *drainer) rejectLines(ctx context.Context, batch *spool.Batch) error {
	newer, damaged := spool.SplitNewer(batch.Bad)
	if err := d.files.KeepForLater(newer); err != nil {
		return d.keepingFailed(ctx, err)
	}
	if batch.Bad = damaged; len(newer) > 0 { // they stay spooled
		d.log.LogAttrs(ctx, slog.LevelWarn, "audit_spool_newer", slog.Int("records", len(newer)))
	}
	rejections := make([]spool.Rejection, len(batch.Bad))
	for i := range batch.Bad {
		rejections[i].Line = &batch.Bad[i]
	}
	kept, err := d.files.RejectAll(rejections)
	for _, bad := range batch.Bad[:kept] {
		d.ledger.move(bad.Class, spooled, rejected)
		d.log.LogAttrs(ctx, slog.LevelError, "audit_spool_damaged", slog.String("error", bad.Reason))
	}
	batch.Bad = batch.Bad[kept:]
	if err != nil {
		return d.keepingFailed(ctx, err)
	}
	return nil
}

// keepStale writes held records to the spool again if someone has removed or replaced the
// file that they came from. Their counts do not change.
func (d *drainer) keepStale(ctx context.Context) (err error) {
	d.held = slices.DeleteFunc(d.held, func(held *heldBatch) bool {
		if err != nil || !d.files.Stale(held.batch) {
			return false
		}
		if err = d.files.Append(contentOf(held.undecided())); err != nil {
			err = d.keepingFailed(ctx, err)
			return false
		}
		held.decideAll()
		if err = d.rejectLines(ctx, held.batch); err != nil {
			return false
		}
		err = d.files.Done(held.batch)
		return true
	})
	return err
}

// release leaves what is held to the spool, which must still have all of it.
func (d *drainer) release(ctx context.Context) error {
	return errors.Join(d.losses.check(ctx), d.keepStale(ctx))
}

func (d *drainer) keepingFailed(ctx context.Context, err error) error {
	d.log.LogAttrs(ctx, slog.LevelError, "audit_spool_failing", slog.String("error", err.Error()))
	return err
}
