package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// losses counts the records that are neither stored nor kept, and adds them to a gap.
type losses struct {
	ledger *ledger
	gaps   *gaps
	book   *book
	files  spoolChecker
	log    *slog.Logger
	wake   chan<- struct{} // wakes the drainer, which records gaps
}

// spoolChecker finds out what someone else has removed from the spool.
type spoolChecker interface {
	Check() (lost []*spool.UnreadableError)
}

// add adds a record that is neither stored nor kept, and returns the error that its caller
// gets. The ledger is the caller's to change. No attempt to store the record may be in doubt:
// see addDoubtful.
func (l *losses) add(ctx context.Context, rec *audit.Record, cause error) error {
	l.book.decide(rec.Origin, completeness.Dropped)
	return l.lose(ctx, rec, cause)
}

// addUnnumbered is add for a record that the queue had no room for. The account learns its
// ordinal and its fate at once. Otherwise the last statement could come between, and no other
// one would tell the fate.
func (l *losses) addUnnumbered(ctx context.Context, rec *audit.Record, queue *queue, cause error) error {
	l.book.own.Drop(func() int64 { return queue.numberDropped(rec) })
	return l.lose(ctx, rec, cause)
}

// addDoubtful is add for a record that may be stored nevertheless.
func (l *losses) addDoubtful(ctx context.Context, rec *audit.Record, cause error) error {
	l.book.decide(rec.Origin, completeness.DroppedInDoubt)
	return l.lose(ctx, rec, cause)
}

// addEntry is add or addDoubtful, whichever is right for a record of the queue.
func (l *losses) addEntry(ctx context.Context, e *entry, cause error) error {
	if e.inDoubt {
		return l.addDoubtful(ctx, &e.rec, cause)
	}
	return l.add(ctx, &e.rec, cause)
}

func (l *losses) lose(ctx context.Context, rec *audit.Record, cause error) error {
	first, err := l.gaps.add(rec, cause)
	if err != nil {
		return fmt.Errorf("%w: %w; %w", audit.ErrDropped, cause, err)
	}
	if first { // the others are counted, and logged with the gap
		l.log.LogAttrs(ctx, slog.LevelError, "audit_dropping",
			slog.String("first_audit_id", rec.AuditID.String()), slog.String("error", cause.Error()))
	}
	signal(l.wake)
	return fmt.Errorf("%w: %w", audit.ErrDropped, cause)
}

// addSpooled adds records that were on disk and no longer are. It returns the error for a
// caller that asks whether they are durable.
func (l *losses) addSpooled(ctx context.Context, gone *spool.UnreadableError) error {
	lost := map[audit.EnvelopeClass]int64{}
	var total int64
	for class, n := range gone.Again {
		l.ledger.acceptMany(class, spooled, n)
	}
	l.book.decideAll(gone.Ordinals, completeness.DroppedInDoubt) // an attempt may have been without an answer
	for class, n := range gone.Records {
		l.ledger.moveMany(class, spooled, dropped, n)
		lost[class] = n
		total += n
	}
	l.log.LogAttrs(ctx, slog.LevelError, "audit_spool_lost", slog.Int64("records", total), slog.String("error", gone.Error()))
	if total == 0 {
		return nil
	}
	cause := fmt.Errorf("%d records are gone from the spool: %w", total, gone)
	if _, err := l.gaps.addMany(lost, gone.FirstAuditID, gone.LastAuditID, cause); err != nil {
		return fmt.Errorf("%w: %w; %w", audit.ErrDropped, cause, err)
	}
	signal(l.wake)
	return fmt.Errorf("%w: %w", audit.ErrDropped, cause)
}

// check finds out whether the spool still holds what was written to it.
func (l *losses) check(ctx context.Context) error {
	var errs []error
	for _, gone := range l.files.Check() {
		errs = append(errs, l.addSpooled(ctx, gone))
	}
	return errors.Join(errs...)
}
