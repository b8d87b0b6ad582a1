package sealer

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// fillLeaves stores the leaves that the log had before the trail was distributed, from the
// tiles and the rows. It goes on after the last one that is stored.
func (n *session) fillLeaves(ctx context.Context) error {
	if n.cluster == nil {
		return nil
	}
	n.awaited = nil // what is not sealed has no leaf
	first, err := n.firstUnlisted(ctx)
	if err != nil {
		return fmt.Errorf("looking for the leaves of sealed rows: %w", err)
	}
	for first < n.log.saved {
		// Parts begin where tiles of the second level do.
		before := min((first/partLeaves+1)*partLeaves, n.log.saved)
		if err := n.fillPart(ctx, first, before); err != nil {
			return fmt.Errorf("storing the leaves of sealed rows: %w", storing(err))
		}
		first = before
	}
	return nil
}

// recentLeaves are looked through for holes: a worker may have lost its last commits in a
// failover.
const recentLeaves = 4 * partLeaves

// firstUnlisted returns the place from which leaves are to be stored. It refuses a list that is
// ahead of the log: those rows would never be sealed.
func (n *session) firstUnlisted(ctx context.Context) (int64, error) {
	beyond, err := n.conn.LeavesBeyond(ctx, n.log.epoch, n.log.saved, 1)
	if err != nil {
		return 0, err
	}
	if len(beyond) > 0 {
		return 0, fmt.Errorf("%w: a worker lists leaf %d of epoch %d, and the log has %d, as after a failover of the coordinator: open a new epoch (coordaudit seal --new-epoch REASON)",
			ErrCutOff, beyond[0].Index, beyond[0].Epoch, n.log.saved)
	}
	first, err := n.conn.IndexedThrough(ctx, n.log.epoch, n.log.saved)
	if err != nil {
		return 0, err
	}
	recent := max(0, n.log.saved-recentLeaves)
	listed, err := n.conn.Listed(ctx, n.log.epoch, recent, first)
	if err != nil || listed >= first-recent {
		return first, err
	}
	return recent, nil
}

func (n *session) fillPart(ctx context.Context, first, before int64) error {
	all, err := n.leavesBetween(ctx, first, before)
	if err != nil {
		return err
	}
	rows, err := n.rowsOf(ctx, all)
	if err != nil {
		return err
	}
	stored := make([]sealdriver.Leaf, len(all))
	for i, of := range all {
		index := first + int64(i)
		stored[i] = sealdriver.Gone(index)
		if found := rows[of]; len(found) > 0 {
			stored[i], rows[of] = found[0], found[1:]
			stored[i].Index = index
		}
	}
	return n.conn.AddLeaves(ctx, n.log.epoch, stored)
}

// leavesBetween reads which leaves the log has, from the tiles and the tail.
func (n *session) leavesBetween(ctx context.Context, first, before int64) (leaves []leaf, err error) {
	from := first / tileWidth
	tiles, err := n.conn.Tiles(ctx, n.log.epoch, from, (before+tileWidth-1)/tileWidth)
	if err != nil {
		return nil, err
	}
	for i, tile := range tiles {
		of, err := leavesOf(tile)
		if err != nil || tile.Index != from+int64(i) {
			return nil, n.tampered(n.log.saved, fmt.Sprintf("tile %d is missing or damaged", from+int64(i)))
		}
		leaves = append(leaves, of...)
	}
	if from+int64(len(tiles)) == n.log.saved/tileWidth {
		leaves = append(leaves, n.log.tail...)
	}
	if int64(len(leaves)) < before-from*tileWidth {
		return nil, n.tampered(n.log.saved, "tiles are missing")
	}
	return leaves[first-from*tileWidth : before-from*tileWidth], nil
}

// rowsOf reads the rows of leaves. Rows that carry the same seq are taken in the order in which
// they were sealed.
func (n *session) rowsOf(ctx context.Context, leaves []leaf) (map[leaf][]sealdriver.Leaf, error) {
	wanted := map[leaf]bool{}
	var first, last [seal.Event + 1]int64
	for _, of := range leaves {
		if last[of.kind] == 0 {
			first[of.kind], last[of.kind] = of.seq, of.seq
		}
		first[of.kind], last[of.kind] = min(first[of.kind], of.seq), max(last[of.kind], of.seq)
		wanted[of] = true
	}
	rows := map[leaf][]sealdriver.Leaf{}
	for kind := seal.Record; kind <= seal.Event; kind++ {
		if last[kind] == 0 {
			continue
		}
		err := n.conn.Rows(ctx, kind, first[kind], last[kind], func(values [][]byte) error {
			seq, err := seal.Row{Kind: kind, Values: values}.Seq()
			if of := (leaf{kind: kind, seq: seq}); err == nil && wanted[of] {
				rows[of] = append(rows[of], sealdriver.LeafOf(kind, values))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}
