package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// errGapRefused: the gap waits, and nothing else does.
var errGapRefused = errors.New("the database refuses a gap")

// lost takes down a record that is neither stored nor kept, and returns the error
// that its caller gets.
func (r *Recorder) lost(ctx context.Context, rec *audit.Record, cause error) error {
	first, err := r.gaps.add(rec, cause)
	if err != nil {
		return fmt.Errorf("%w: %w; %w", audit.ErrDropped, cause, err)
	}
	if first { // the others are counted, and told of with the gap
		r.log.LogAttrs(ctx, slog.LevelError, "audit_dropping",
			slog.String("first_audit_id", rec.AuditID.String()), slog.String("error", cause.Error()))
	}
	signal(r.drain)
	return fmt.Errorf("%w: %w", audit.ErrDropped, cause)
}

// drop takes down a record that there is no room for.
func (r *Recorder) drop(ctx context.Context, rec *audit.Record, cause error) error {
	r.ledger.accept(rec.EnvelopeClass, dropped)
	err := r.lost(ctx, rec, cause)
	r.hooks.settled(ctx, rec, audit.Receipt{}, err, 0)
	return err
}

// recordGaps brings every complete gap to the database, and at the end each.
func (r *Recorder) recordGaps(ctx context.Context, atEnd bool) error {
	for {
		gap, ok := r.gaps.oldest(atEnd)
		if !ok {
			return nil
		}
		attempt, cancel := context.WithTimeout(ctx, r.config.AttemptTimeout)
		err := r.database.PersistGap(attempt, &gap)
		cancel()
		if err != nil {
			return r.gapFailed(ctx, &gap, err)
		}
		r.log.LogAttrs(ctx, slog.LevelError, "audit_gap_recorded", gapAttrs(&gap)...)
		if r.gaps.recorded() {
			if err := r.letters.ForgetGaps(); err != nil { // it is recorded again at the next start, as the same gap
				r.log.LogAttrs(ctx, slog.LevelWarn, "audit_dead_letters_failing", slog.String("error", err.Error()))
			}
		}
	}
}

// gapFailed lets a gap that is refused wait without the records behind it: its table
// may be missing yet, or its right, while theirs are not.
func (r *Recorder) gapFailed(ctx context.Context, gap *audit.Gap, err error) error {
	switch {
	case ctx.Err() != nil:
		return err
	case !errors.Is(err, audit.ErrRefused):
		r.noteFailure(ctx, err)
		return err
	}
	if r.gaps.refused(r.config.MaxDelay) {
		r.log.LogAttrs(ctx, slog.LevelError, "audit_gap_not_recorded", append(gapAttrs(gap), slog.String("error", err.Error()))...)
	}
	return errGapRefused
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

// clip makes a cause one that the database takes.
func clip(text string) string {
	runes := []rune(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"))
	if len(runes) <= audit.MaxGapCauseCharacters {
		return string(runes)
	}
	return string(runes[:audit.MaxGapCauseCharacters-1]) + "…"
}
