package follow

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// onStandby reads up to the last checkpoint. Everything that it covers was committed before
// it, except for what it awaits.
func (l *look) onStandby(ctx context.Context) (*Page, error) {
	page := &Page{}
	err := l.on.AtMoment(ctx, func(on *auditdriver.Follower) error {
		through, awaited, err := l.sealed(ctx, on)
		if err != nil {
			return err
		}
		return l.readSealed(ctx, on, page, through, awaited)
	})
	if err != nil {
		return nil, err
	}
	return l.finish(ctx, page), nil
}

func (l *look) readSealed(ctx context.Context, on *auditdriver.Follower, page *Page, through int64, awaited completeness.Set) error {
	s := &l.state
	newest, anchored := s.newestAnchor()
	switch {
	case anchored && newest.seq > through:
		return nil // it has not come as far as the cursor
	case anchored && !newest.stands(l.facts.AtAnchor):
		return l.fork(ctx, "the last record that was read is not there, as after a failover or a restore")
	case through == s.fence && !s.reading && len(s.holes) == 0:
		return nil
	}
	s.around, s.fence, s.late = nil, through, len(s.holes) > 0
	full, err := l.readLate(ctx, on, page)
	if err != nil {
		return err
	}
	if full {
		s.reading = true
		return nil
	}
	beyond := s.holes.And(completeness.Span(through+1, math.MaxInt64-1))
	s.holes = s.holes.And(awaited) // the others were rolled back
	s.holes.AddAll(beyond)
	return l.readFresh(ctx, on, page, &awaited)
}

func (l *look) sealed(ctx context.Context, on *auditdriver.Follower) (through int64, awaited completeness.Set, err error) {
	through, awaited, err = on.Sealed(ctx)
	switch {
	case errors.Is(err, auditdriver.ErrNoCheckpoint):
		return 0, nil, cannot("the server is a standby, where only a checkpoint of the seal says how far the records are final, and there is none: " +
			"seal the trail on the primary (package sealer), or follow the primary")
	case errors.Is(err, auditdriver.ErrCheckpointsHidden):
		return 0, nil, cannot("the server is a standby, where only a checkpoint of the seal says how far the records are final, " +
			"and this role may not read coordination_audit_seal_checkpoints: " + auditdriver.ReaderRights().Command)
	case err != nil:
		return 0, nil, fmt.Errorf("reading the last checkpoint: %w", err)
	}
	return through, awaited, nil
}
