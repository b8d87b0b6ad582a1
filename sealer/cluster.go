package sealer

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// On a Citus cluster no fence says how far a trail is final: a coordinator commits before its
// workers do, a worker commits what its coordinator has given up, and seqs are given out on
// every node. So what is sealed has a row in a table of its own, next to the row that is
// sealed, and what has none is sealed next. Both are stored in one transaction with the tiles,
// and the key of that table refuses to seal a row twice.
//
// Most rounds look at new seqs only. A sweep looks at all of them, for what was committed
// later than that.

// cluster is the state of a session that seals a distributed trail.
type cluster struct {
	marks   []mark               // of the last patience
	floor   sealdriver.Positions // an ordinary round looks at seqs above
	sweepAt time.Time
}

// mark is how far the sequences had come at a moment.
type mark struct {
	at        time.Time
	positions sealdriver.Positions
}

// sweepShare bounds what sweeps take of the time.
const sweepShare = 20

// checkCluster refuses what would seal a distributed trail wrongly.
func (n *session) checkCluster(ctx context.Context) error {
	has, err := n.conn.HasLeaves(ctx)
	if err != nil {
		return fmt.Errorf("checking whether the trail can be sealed: %w", err)
	}
	if !has {
		return cannot("it is distributed over the workers of a Citus cluster, and the table of what is sealed is missing there: migrate distribute (docs/citus.md)")
	}
	facts, err := n.conn.DescribeCluster(ctx)
	if err != nil {
		return fmt.Errorf("checking whether the trail can be sealed: %w", err)
	}
	switch {
	case facts.InRecovery:
		return cannot("the server is a standby: connect to the primary of the coordinator")
	case facts.Isolation != "read committed":
		return cannot("the session's isolation is " + facts.Isolation + ", which does not see new rows")
	case !facts.ReadsSequences:
		return cannot("this role must read the sequences: migrate grants --sealer ROLE --apply")
	}
	n.sealer.warnOfUnlogged(ctx, facts.Unlogged)
	n.cluster, n.log.indexed = &cluster{}, true
	return nil
}

// clusterRound seals what has no leaf, and returns the number of rows.
func (n *session) clusterRound(ctx context.Context) (sealed int64, err error) {
	target, err := n.conn.Positions(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the sequences: %w", err)
	}
	before, began := n.log.saved, time.Now()
	defer func() { sealed = n.log.saved - before }()
	if err := n.look(ctx, target); err != nil {
		return 0, err
	}
	from, sweep := n.cluster.floor, !began.Before(n.cluster.sweepAt)
	if sweep {
		from = sealdriver.Positions{Records: minSeq, Gaps: minSeq, Statements: minSeq}
	}
	// Only a sealer that holds the lock stores events here, so no open transaction has one.
	if n.through.Events < target.Events {
		if err := n.sealRange(ctx, seal.Event, n.through.Events+1, target.Events, nil); err != nil {
			return 0, err
		}
		n.through.Events = target.Events
	}
	for _, of := range []struct {
		kind         seal.Kind
		from, target int64
		through      *int64
	}{
		{seal.Gap, from.Gaps, target.Gaps, &n.through.Gaps},
		{seal.Statement, from.Statements, target.Statements, &n.through.Statements},
		{seal.Record, from.Records, target.Records, &n.through.Records},
	} {
		if err := n.sealUnsealed(ctx, of.kind, of.from, of.target, of.through); err != nil {
			return 0, err
		}
	}
	if err := n.checkpoint(ctx); err != nil {
		return 0, err
	}
	n.cluster.passed(target, began, sweep, n.sealer.config.Patience)
	return 0, n.lookAgain(ctx)
}

// sealUnsealed seals rows in ranges of seqs, each with a checkpoint. A list with a limit would
// make each shard send as many rows as the limit.
func (n *session) sealUnsealed(ctx context.Context, kind seal.Kind, from, target int64, through *int64) error {
	for first := from; ; {
		next, found, err := n.conn.NextUnsealed(ctx, kind, n.log.epoch, first)
		if err != nil {
			return fmt.Errorf("looking for each %s to seal: %w", kind, err)
		}
		if !found {
			return nil
		}
		for first = next; ; {
			count, err := n.sealWindow(ctx, kind, first, through)
			if err != nil {
				return err
			}
			if first += batchRecords; count == 0 || first > target {
				break // there may be more behind: a worker gives other seqs
			}
		}
	}
}

// sealWindow seals the rows in a range of seqs that have no leaf.
func (n *session) sealWindow(ctx context.Context, kind seal.Kind, first int64, through *int64) (count int, err error) {
	err = n.conn.Unsealed(ctx, kind, n.log.epoch, first, first+batchRecords-1, func(values [][]byte) error {
		seq, err := n.log.add(kind, values)
		count++
		*through = max(*through, seq)
		return err
	})
	if err != nil {
		return count, n.sealing(kind, err)
	}
	if n.log.tree.Size()-n.log.saved < batchRecords/2 { // the next one, or the round, makes the checkpoint
		return count, nil
	}
	if err := n.checkpoint(ctx); err != nil {
		return count, err
	}
	return count, n.lookAgain(ctx)
}

// passed moves the floor to where the sequences were a patience ago, and plans the next sweep.
func (c *cluster) passed(target sealdriver.Positions, began time.Time, sweep bool, patience time.Duration) {
	now := time.Now()
	if sweep {
		c.sweepAt = now.Add(max(patience, sweepShare*now.Sub(began)))
	}
	c.marks = append(c.marks, mark{at: began, positions: target})
	for len(c.marks) > 0 && now.Sub(c.marks[0].at) >= patience {
		c.floor, c.marks = c.marks[0].positions, c.marks[1:]
	}
}
