package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// errInterrupted: a signal ended the import, in good order.
var errInterrupted = errors.New("interrupted")

// importer moves lines from the input to the trail, batch by batch: what it has
// counted is stored or reported, what it has not is untouched.
type importer struct {
	store    *coordaudit.Store
	lines    *lineReader
	batch    *batch
	rejects  *rejects
	progress *progress
	patience time.Duration
	warn     func(format string, args ...any)

	counts importCounts
}

// run imports until the end of the input, an error that no line is to blame for,
// or the end of ctx; in that case what has been read is stored first.
func (im *importer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		line, err := im.lines.next()
		if errors.Is(err, io.EOF) {
			return im.flush(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return errors.Join(im.flush(ctx), fmt.Errorf("reading line %d: %w", im.lines.number+1, err))
		}
		if err != nil {
			break
		}
		im.batch.add(line)
		if !im.batch.full() {
			continue
		}
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	if err := im.flush(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w after line %d", errInterrupted, im.lines.number)
}

// flush settles the batch as a whole, or leaves it uncounted and says where it begins.
func (im *importer) flush(ctx context.Context) error {
	if len(im.batch.lines) == 0 {
		return nil
	}
	receipts, refused, err := im.persist(ctx)
	if err == nil && len(im.batch.replays) > 0 {
		_, err = im.store.Replaying().PersistMany(ctx, im.batch.replays)
	}
	if err != nil {
		stored := im.counts.Persisted + im.counts.AlreadyPersisted
		return fmt.Errorf("stopped at line %d, %s stored before it: %w", im.batch.lines[0].number, plural(stored, "record"), err)
	}
	return im.settle(receipts, refused)
}

// settle counts each line and reports the refused ones, in the input's order.
func (im *importer) settle(receipts []audit.Receipt, refused map[int]error) error {
	for _, line := range im.batch.lines {
		im.counts.Read++
		faults := line.faults
		if err := refused[line.record]; err != nil {
			faults = faultsOf(err)
		}
		switch {
		case faults != nil:
			im.counts.Rejected++
			if err := im.reject(line, faults); err != nil {
				return err
			}
		case line.record < 0:
			im.counts.Skipped++
		case receipts[line.record].Outcome == audit.AlreadyPersisted:
			im.counts.AlreadyPersisted++
		default:
			im.counts.Persisted++
		}
	}
	im.batch.reset()
	im.progress.update(im.lines.bytes, im.counts.Read)
	return im.rejects.flush()
}

func (im *importer) reject(line batchLine, faults []audit.Fault) error {
	reason := describeFaults(faults)
	if im.rejects.count < shownRejects {
		im.progress.clear()
		im.warn("line %d: %s", line.number, reason)
		im.rejects.shown++
	}
	return im.rejects.add(line.number, reason, faults, im.batch.text[line.start:line.end], line.size)
}

// persist stores the batch's records, and waits for a database that is away:
// sending them again is safe, even where it is not known what became of them. An
// error is one that no record is to blame for.
func (im *importer) persist(ctx context.Context) (receipts []audit.Receipt, refused map[int]error, err error) {
	if len(im.batch.records) == 0 {
		return nil, nil, nil
	}
	var giveUp time.Time
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		receipts, err = im.store.PersistMany(ctx, im.batch.records)
		if refused, err = refusals(err); err == nil {
			return receipts, refused, nil
		}
		if !errors.Is(err, audit.ErrUnavailable) && !errors.Is(err, audit.ErrOutcomeUnknown) {
			return nil, nil, err
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(im.patience)
			im.progress.clear()
			im.warn("line %d: %s; trying again for up to %s", im.batch.lines[0].number, oneLine(err), im.patience)
		}
		if time.Until(giveUp) < delay || !sleep(ctx, delay) {
			return nil, nil, err
		}
	}
}

// refusals tells the records that are to blame themselves, by index, from a
// failure of the whole batch.
func refusals(err error) (map[int]error, error) {
	if err == nil {
		return nil, nil
	}
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok {
		return nil, err
	}
	refused := make(map[int]error, len(failed.Failures))
	for _, failure := range failed.Failures {
		if !errors.Is(failure.Err, audit.ErrConflict) && !errors.Is(failure.Err, audit.ErrInvalidRecord) {
			return nil, failure.Err.Err
		}
		refused[failure.Index] = failure.Err
	}
	return refused, nil
}

// describeFaults is all of a line's faults in one line.
func describeFaults(faults []audit.Fault) string {
	parts := make([]string, len(faults))
	for i, fault := range faults {
		subject := fault.Field
		if subject == "" {
			subject = "the line"
		}
		parts[i] = subject + " " + fault.Reason
	}
	return strings.Join(parts, "; ")
}

func describeConflict(conflict *audit.ConflictError) string {
	return "is taken by a record with other content; they differ in " + strings.Join(conflict.Fields, ", ")
}

// sleep reports whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
