package sealer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
)

// lookEvery is how often a round that takes long looks again how far the trail has come.
const lookEvery = time.Second

// look reports how far the trail has come, and since when something is not sealed. The database
// says how long ago a row was stored, so the clocks need not agree.
func (n *session) look(ctx context.Context, at sealdriver.Positions) error {
	now := time.Now()
	var since time.Time
	if at != n.through {
		age, found, err := n.conn.UnsealedAge(ctx, n.through)
		if err != nil {
			return fmt.Errorf("looking for the oldest row that is not sealed: %w", err)
		}
		if found {
			since = now.Add(-age)
		}
	}
	n.lookedAt = now
	n.sealer.update(func(stats *Stats) {
		stats.LookedAt, stats.UnsealedSince = now, since
		stats.Lag, stats.Awaited = at.Records-n.through.Records, n.awaited.Count()
	})
	return nil
}

func (n *session) lookAgain(ctx context.Context) error {
	at, err := n.conn.Positions(ctx)
	if err != nil {
		return fmt.Errorf("reading the sequences: %w", err)
	}
	return n.look(ctx, at)
}

// finish reports how a round or a session ended.
func (s *Sealer) finish(err error) {
	s.update(func(stats *Stats) {
		stats.Err, stats.Standby = err, errors.Is(err, ErrSealedElsewhere)
		if stats.Standby { // the other sealer knows
			stats.Lag, stats.Awaited, stats.UnsealedSince = 0, 0, time.Time{}
		}
	})
}
