package recorder

import (
	"fmt"
	"slices"
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

	// notBefore is when a gap that was refused is tried again.
	notBefore time.Time
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
		return time.Until(g.notBefore), true
	case g.open != nil:
		return max(time.Until(g.opened.Add(minGap)), time.Until(g.notBefore)), true
	default:
		return 0, false
	}
}

// refused puts recording off for a while, and reports whether it was not put off before.
func (g *gaps) refused(wait time.Duration) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	first = g.notBefore.IsZero()
	g.notBefore = time.Now().Add(wait)
	return first
}

// oldest returns the oldest gap that is complete and due. The open one is completed
// if it has gathered long enough. At the end all are.
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

// recorded forgets the oldest gap, and reports whether it was the last of those
// that stand in the directory, too.
func (g *gaps) recorded() (directoryDone bool) {
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
