package recorder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// gapWriter puts gaps on record: in the database, or in the spool until the next start.
type gapWriter struct {
	gaps     *gaps
	database gapStore
	files    gapFiles
	health   *health
	log      *slog.Logger
	timeout  time.Duration // of one attempt
	maxDelay time.Duration // until a refused gap is tried again
}

// gapStore stores a gap in one attempt.
type gapStore interface {
	PersistGap(ctx context.Context, gap *audit.Gap) error
}

// gapFiles keeps gaps on disk.
type gapFiles interface {
	SaveGap(gap audit.Gap) error
	ForgetGaps() error
}

// errGapRefused means that the gap waits, and that nothing else has to.
var errGapRefused = errors.New("the database refuses a gap")

func (w *gapWriter) due() (wait time.Duration, pending bool) { return w.gaps.due() }

// record stores every complete gap, and at the end the open one too.
func (w *gapWriter) record(ctx context.Context, atEnd bool) error {
	for {
		gap, ok := w.gaps.oldest(atEnd)
		if !ok {
			return nil
		}
		attempt, cancel := context.WithTimeout(ctx, w.timeout)
		err := w.database.PersistGap(attempt, &gap)
		cancel()
		if err != nil {
			return w.failed(ctx, &gap, err)
		}
		w.log.LogAttrs(ctx, slog.LevelError, "audit_gap_recorded", gapAttrs(&gap)...)
		if w.gaps.recorded() {
			if err := w.files.ForgetGaps(); err != nil { // the next start records it again, as the same gap
				w.log.LogAttrs(ctx, slog.LevelWarn, "audit_spool_failing", slog.String("error", err.Error()))
			}
		}
	}
}

// failed lets a refused gap wait without the records behind it. Its table or the right to
// write to it may be missing, and theirs are not.
func (w *gapWriter) failed(ctx context.Context, gap *audit.Gap, err error) error {
	switch {
	case ctx.Err() != nil:
		return err
	case !errors.Is(err, audit.ErrRefused):
		w.health.noteFailure(ctx, err)
		return err
	}
	if w.gaps.refused(w.maxDelay) {
		w.log.LogAttrs(ctx, slog.LevelError, "audit_gap_not_recorded", append(gapAttrs(gap), slog.String("error", err.Error()))...)
	}
	return errGapRefused
}

// keep puts the gaps that are left on record: in the database if it answers, else in the
// spool, else in the log alone.
func (w *gapWriter) keep(ctx context.Context) {
	if w.health.answers() && w.record(ctx, true) == nil {
		return
	}
	for _, gap := range w.gaps.unsaved() {
		level, attrs := slog.LevelWarn, gapAttrs(&gap)
		if err := w.files.SaveGap(gap); err != nil {
			level = slog.LevelError
			attrs = append(attrs, slog.String("error", err.Error()))
		}
		w.log.LogAttrs(ctx, level, "audit_gap_not_recorded", attrs...)
	}
}

func gapAttrs(gap *audit.Gap) []slog.Attr {
	return []slog.Attr{
		slog.String("gap_id", gap.GapID.String()),
		slog.Int64("dropped", gap.Total()),
		slog.String("first_audit_id", gap.FirstAuditID.String()),
		slog.String("last_audit_id", gap.LastAuditID.String()),
		slog.Time("from", gap.From),
		slog.Time("until", gap.Until),
		slog.String("cause", gap.Cause),
	}
}
