package main

import (
	"context"
	"errors"
	"fmt"
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
	stopRead func() // ends a read that waits for input
	most     int    // lines in a batch
	rejects  *rejects
	progress *progress
	patience time.Duration
	warn     func(format string, args ...any)

	counts importCounts
}

// run imports until the end of the input, an error that no line is to blame for,
// or the end of ctx; in that case what has been read is stored first.
func (im *importer) run(ctx context.Context) error {
	input := im.begin(ctx)
	var err error
	for b := range input.parsed {
		if err == nil {
			if err = im.flush(ctx, b); err != nil {
				input.stopped.Store(true)
				im.stopRead()
			}
		}
		input.recycle(b)
	}
	switch {
	case err == nil:
		return input.err
	case errors.Is(input.err, errInterrupted):
		return err
	default:
		return errors.Join(err, input.err)
	}
}

// flush settles a batch as a whole, or leaves it uncounted and says where it begins.
func (im *importer) flush(ctx context.Context, b *batch) error {
	loaded, refused, err := im.load(ctx, b)
	if err == nil && len(b.replays) > 0 {
		_, err = im.store.Replaying().Load(ctx, b.replays)
	}
	if err != nil {
		stored := im.counts.Persisted + im.counts.AlreadyPersisted
		return fmt.Errorf("stopped at line %d, %s stored before it: %w", b.lines[0].number, plural(stored, "record"), err)
	}
	return im.settle(b, loaded, refused)
}

// settle counts the lines and reports the refused ones, in the input's order.
func (im *importer) settle(b *batch, loaded audit.Counts, refused map[int]error) error {
	im.counts.Read += int64(len(b.lines))
	im.counts.Persisted += loaded.Persisted
	im.counts.AlreadyPersisted += loaded.AlreadyPersisted
	im.counts.Skipped += int64(len(b.replays))
	im.counts.Rejected += int64(len(b.lines)-len(b.records)-len(b.replays)) + loaded.Failed
	for _, line := range b.lines {
		faults := line.faults
		if err := refused[line.record]; err != nil {
			faults = faultsOf(err)
		}
		if faults == nil {
			continue
		}
		if err := im.reject(line, b.text[line.start:line.end], faults); err != nil {
			return err
		}
	}
	im.progress.update(b.bytes, im.counts.Read)
	return im.rejects.flush()
}

func (im *importer) reject(line batchLine, text []byte, faults []audit.Fault) error {
	reason := describeFaults(faults)
	if im.rejects.count < shownRejects {
		im.progress.clear()
		im.warn("line %d: %s", line.number, reason)
		im.rejects.shown++
	}
	return im.rejects.add(line.number, reason, faults, text, line.size)
}

// load stores the batch's records, and waits for a database that is away:
// sending them again is safe, even where it is not known what became of them. An
// error is one that no record is to blame for.
func (im *importer) load(ctx context.Context, b *batch) (loaded audit.Counts, refused map[int]error, err error) {
	if len(b.records) == 0 {
		return audit.Counts{}, nil, nil
	}
	var giveUp time.Time
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		loaded, err = im.store.Load(ctx, b.records)
		if refused, err = refusals(err); err == nil {
			return loaded, refused, nil
		}
		if !errors.Is(err, audit.ErrUnavailable) && !errors.Is(err, audit.ErrOutcomeUnknown) {
			return audit.Counts{}, nil, err
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(im.patience)
			im.progress.clear()
			im.warn("line %d: %s; trying again for up to %s", b.lines[0].number, oneLine(err), im.patience)
		}
		if time.Until(giveUp) < delay || !sleep(ctx, delay) {
			return audit.Counts{}, nil, err
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
