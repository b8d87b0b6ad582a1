package recorder

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// gaps gathers what was lost until the database has it on record.
type gaps struct {
	now func() time.Time

	mu     sync.Mutex
	open   *audit.Gap
	opened time.Time   // by the monotonic clock
	closed []audit.Gap // complete, so that a second try records the same gap
	found  int         // the number of gaps at the front of closed that the spool holds too

	// notBefore is when a gap that was refused is tried again.
	notBefore time.Time
}

func newGaps(now func() time.Time, found []audit.Gap) *gaps {
	return &gaps{now: now, closed: found, found: len(found)}
}

// add counts one lost record, and reports whether it is the first of its gap.
func (g *gaps) add(rec *audit.Record, cause error) (first bool, err error) {
	return g.addMany(map[audit.EnvelopeClass]int64{rec.EnvelopeClass: 1}, rec.AuditID, rec.AuditID, cause)
}

// addMany counts lost records, given the first and the last of them. A clock that steps back
// does not make a gap end before it began.
func (g *gaps) addMany(lost map[audit.EnvelopeClass]int64, firstID, lastID uuid.UUID, cause error) (first bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.now().UTC().Truncate(time.Microsecond)
	if g.open == nil {
		id, err := uuid.NewV7()
		if err != nil {
			return false, fmt.Errorf("making a gap's id: %w", err)
		}
		g.open = &audit.Gap{GapID: id, Dropped: map[audit.EnvelopeClass]int64{}, FirstAuditID: firstID, From: at, Cause: clip(cause.Error())}
		g.opened = time.Now()
		first = true
	}
	for class, n := range lost {
		g.open.Dropped[class] += n
	}
	g.open.LastAuditID = lastID
	if g.open.Until = at; at.Before(g.open.From) {
		g.open.Until = g.open.From
	}
	return first, nil
}

// minGap is how long an open gap gathers. So a gap is one row, however fast records are lost.
const minGap = time.Second

// due returns how long to wait until the next gap may be recorded.
func (g *gaps) due() (wait time.Duration, pending bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case len(g.closed) > 0:
		return time.Until(g.notBefore), true
	case g.open != nil:
		return max(time.Until(g.opened.Add(minGap)), time.Until(g.notBefore)), true
	default:
		return 0, false
	}
}

// refused postpones the recording, and reports whether this is the first time.
func (g *gaps) refused(wait time.Duration) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first = g.notBefore.IsZero()
	g.notBefore = time.Now().Add(wait)
	return first
}

// oldest returns the oldest gap that is complete and due. It completes the open one if that
// has gathered long enough. At the end every gap is due.
func (g *gaps) oldest(atEnd bool) (gap audit.Gap, ok bool) {
	if wait, pending := g.due(); !pending || (wait > 0 && !atEnd) {
		return audit.Gap{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.closed) == 0 {
		g.closed = append(g.closed, *g.open)
		g.open = nil
	}
	return g.closed[0], true
}

// recorded forgets the oldest gap, and reports whether it was the last of those that the
// spool holds too.
func (g *gaps) recorded() (lastFound bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = g.closed[1:]
	g.notBefore = time.Time{}
	if g.found == 0 {
		return false
	}
	g.found--
	return g.found == 0
}

// unsaved returns the gaps that are only in memory.
func (g *gaps) unsaved() []audit.Gap {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.closed[g.found:]
	if g.open != nil {
		left = append(slices.Clip(left), *g.open)
	}
	return left
}

// clip makes a cause that the database takes.
func clip(text string) string {
	runes := []rune(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"))
	if len(runes) <= audit.MaxGapCauseCharacters {
		return string(runes)
	}
	return string(runes[:audit.MaxGapCauseCharacters-1]) + "…"
}
