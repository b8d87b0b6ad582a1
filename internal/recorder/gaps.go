package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// gaps gathers what was lost until the database takes it down.
type gaps struct {
	now func() time.Time

	mu     sync.Mutex
	open   *audit.Gap
	opened time.Time   // by the monotonic clock
	closed []audit.Gap // complete, so that recording one again is recording the same
	found  int         // how many of closed stand at its front and in the directory, too
}

func newGaps(now func() time.Time, found []audit.Gap) *gaps {
	return &gaps{now: now, closed: found, found: len(found)}
}

// add counts one lost record, and reports whether it is the first of its gap. A
// clock that steps back does not make a gap end before it began.
func (g *gaps) add(rec *audit.Record, cause error) (first bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.now().UTC().Truncate(time.Microsecond)
	if g.open == nil {
		id, err := uuid.NewV7()
		if err != nil {
			return false, fmt.Errorf("making a gap's id: %w", err)
		}
		g.open = &audit.Gap{GapID: id, Dropped: map[audit.EnvelopeClass]int64{}, FirstAuditID: rec.AuditID, From: at, Cause: clip(cause.Error())}
		g.opened = time.Now()
		first = true
	}
	g.open.Dropped[rec.EnvelopeClass]++
	g.open.LastAuditID = rec.AuditID
	if g.open.Until = at; at.Before(g.open.From) {
		g.open.Until = g.open.From
	}
	return first, nil
}

// minGap is how long an open gap gathers: a gap is one row, however fast records
// are lost.
const minGap = time.Second

// due returns how long the next gap has to wait before it may be recorded.
func (g *gaps) due() (wait time.Duration, pending bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case len(g.closed) > 0:
		return 0, true
	case g.open != nil:
		return minGap - time.Since(g.opened), true
	default:
		return 0, false
	}
}

// oldest returns the oldest gap that is complete. The open one is completed if it
// has gathered long enough, or at the end.
func (g *gaps) oldest(atEnd bool) (gap audit.Gap, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.closed) == 0 && g.open != nil && (atEnd || time.Since(g.opened) >= minGap) {
		g.closed = append(g.closed, *g.open)
		g.open = nil
	}
	if len(g.closed) == 0 {
		return audit.Gap{}, false
	}
	return g.closed[0], true
}

// recorded forgets the oldest gap, and reports whether it was the last of those
// that stand in the directory, too.
func (g *gaps) recorded() (directoryDone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = g.closed[1:]
	if g.found == 0 {
		return false
	}
	g.found--
	return g.found == 0
}

// unsaved returns the gaps that stand nowhere but in memory.
func (g *gaps) unsaved() []audit.Gap {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.closed[g.found:]
	if g.open != nil {
		left = append(slices.Clip(left), *g.open)
	}
	return left
}

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
			if ctx.Err() == nil {
				r.noteFailure(ctx, err)
			}
			return err
		}
		r.log.LogAttrs(ctx, slog.LevelError, "audit_gap_recorded", gapAttrs(&gap)...)
		if r.gaps.recorded() {
			if err := r.letters.ForgetGaps(); err != nil { // it is recorded again at the next start, as the same gap
				r.log.LogAttrs(ctx, slog.LevelWarn, "audit_dead_letters_failing", slog.String("error", err.Error()))
			}
		}
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

// clip makes a cause one that the database takes.
func clip(text string) string {
	runes := []rune(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"))
	if len(runes) <= audit.MaxGapCauseCharacters {
		return string(runes)
	}
	return string(runes[:audit.MaxGapCauseCharacters-1]) + "…"
}
