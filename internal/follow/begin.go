package follow

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/fence"
)

// begin makes the state of the start, from facts that were read.
func (l *look) begin(ctx context.Context) error {
	l.state = State{current: time.Now()}
	if since, ok := l.Start.Time(); ok {
		return l.beginAt(ctx, since)
	}
	if l.Start.IsNow() {
		through, err := l.visibleThrough(ctx)
		if err != nil {
			return err
		}
		return l.standAt(ctx, through)
	}
	return nil
}

// visibleThrough bounds what a start looks at: on a standby, to what the last checkpoint
// covers.
func (l *look) visibleThrough(ctx context.Context) (int64, error) {
	if !l.facts.InRecovery {
		return math.MaxInt64 - 1, nil
	}
	through, _, err := l.sealed(ctx, l.on)
	return through, err
}

// standAt sets the place to the last row up to a seq.
func (l *look) standAt(ctx context.Context, through int64) error {
	last, found, err := l.on.LastThrough(ctx, 0, through)
	if err != nil {
		return fmt.Errorf("looking for the start: %w", err)
	}
	if found {
		l.state.pass(last)
	}
	return nil
}

// lookBack is how far below a start a transaction that is still open may hold a seq.
const lookBack = 65_536

// beginAt begins before the first row that was stored at a time or later. Transactions that
// are open may hold such rows with lower seqs, so it waits for them before it looks.
func (l *look) beginAt(ctx context.Context, since time.Time) error {
	var left map[string]int32
	through, err := l.visibleThrough(ctx)
	if err != nil {
		return err
	}
	if !l.facts.InRecovery {
		f := fence.Fence{Source: l.on, Patience: l.Patience}
		if left, err = f.Wait(ctx); err != nil {
			return err
		}
	}
	first, err := l.on.FirstSince(ctx, since)
	if err != nil {
		return fmt.Errorf("looking for the first record since a time: %w", err)
	}
	if first != 0 {
		through = min(through, first-1)
	}
	if err := l.standAt(ctx, through); err != nil {
		return err
	}
	return l.awaitBelow(ctx, left)
}

// awaitBelow makes holes of the seqs below the place that open transactions may hold.
func (l *look) awaitBelow(ctx context.Context, open map[string]int32) error {
	s := &l.state
	if l.facts.InRecovery {
		_, awaited, err := l.sealed(ctx, l.on)
		s.holes.AddAll(awaited.And(completeness.Span(s.place.Seq-lookBack, s.place.Seq-1)))
		return err
	}
	if len(open) == 0 {
		return nil
	}
	below := completeness.Span(max(1, s.place.Seq-lookBack), s.place.Seq-1)
	stored, err := l.on.Stored(ctx, below)
	if err != nil {
		return fmt.Errorf("looking for seqs without a record: %w", err)
	}
	s.holes.AddAll(below.Minus(stored))
	if len(s.holes) > 0 {
		s.around = []fence.Set{{Through: s.place.Seq, Since: time.Now(), By: open}}
	}
	return nil
}
