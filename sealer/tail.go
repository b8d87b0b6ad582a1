package sealer

import (
	"context"
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// findTail finds the leaves after the last full tile. If the log has grown since, their tile
// has a list of them. Else the checkpoint has it.
func (v *verifier) findTail(ctx context.Context) error {
	last, err := v.findLast(ctx)
	if err != nil || last == nil {
		return err
	}
	v.awaited = last.Awaited
	stored := last
	if last.Size != v.size {
		if stored, err = v.conn.CheckpointBefore(ctx, v.result.Epoch, v.size); err != nil {
			return err
		}
	}
	if stored != nil && stored.Size == v.size {
		v.passed = stored
	}
	if err := v.findTileBehind(ctx); err != nil {
		return err
	}
	if err := v.readLater(ctx, last); err != nil {
		return err
	}
	return v.listTail(ctx, stored, last)
}

// mostUnsigned bounds the checkpoints behind the one that is verified that are looked at.
const mostUnsigned = 100

// findLast finds the last checkpoint that is stored, and how far the log goes. What the key has
// not signed says nothing of that.
func (v *verifier) findLast(ctx context.Context) (*sealdriver.Checkpoint, error) {
	size := int64(seal.MaxSize)
	for range mostUnsigned {
		last, err := v.conn.CheckpointBefore(ctx, v.result.Epoch, size)
		if err != nil {
			return nil, err
		}
		switch {
		case last == nil || last.Size < v.size:
			have := int64(0)
			if last != nil {
				have = last.Size
			}
			v.find(Finding{Fault: CutOff, Text: fmt.Sprintf("the checkpoint covers %d leaves, the log has %d", v.size, have)})
			v.size, v.stored = have, have
			return last, nil
		case last.Size == v.size: // it is checked when its leaves are known
			v.stored = last.Size
			return last, nil
		}
		if _, ok := v.open(*last); ok {
			v.stored = last.Size
			return last, nil
		}
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the stored checkpoint of size %d is not as it was signed", last.Size)})
		size = last.Size - 1
	}
	v.stored = v.size
	return v.conn.CheckpointBefore(ctx, v.result.Epoch, v.size)
}

// readLater reads the leaves of the unfinished tile of the last checkpoint, as far as they are behind
// the size that is verified. A record that was committed late may be one of them. The list is taken
// only if its rows give the signed root: it is signed by nothing else.
func (v *verifier) readLater(ctx context.Context, last *sealdriver.Checkpoint) error {
	if last.Size <= v.size {
		return nil
	}
	leaves, err := parseLeaves(last.Leaves, int(last.Size%tileWidth))
	if err != nil {
		return nil //nolint:nilerr // a verification with that checkpoint reports it
	}
	hashes, err := rehash(ctx, v.conn, leaves)
	if errors.Is(err, ErrTampered) || errors.Is(err, seal.ErrRow) {
		return nil
	}
	if err != nil {
		return err
	}
	edge, err := storedEdge(ctx, v.conn, last.Epoch, last.Size, hashes)
	if err != nil {
		return err
	}
	tree, err := seal.ResumeTree(last.Size, edge)
	if err != nil {
		return nil //nolint:nilerr // tiles are missing: see above
	}
	if root, err := tree.Root(); err != nil || root != last.Root {
		return err
	}
	v.later = map[leaf][]seal.Hash{}
	for i, of := range leaves {
		if last.Size-int64(len(leaves)-i) >= v.size {
			v.later[of] = append(v.later[of], hashes[i])
		}
	}
	return nil
}

// isStored reports whether a full tile of level 0 is one of the log.
func (v *verifier) isStored(index int64) bool { return (index+1)*tileWidth <= v.stored }

// findTileBehind finds a tile behind the end of the log. The sealer would fail to store its own
// there.
func (v *verifier) findTileBehind(ctx context.Context) error {
	if v.size < v.result.Checkpoint.Size { // the log was cut off, and its tiles may have been left
		return nil
	}
	level, index, found, err := v.conn.TileBehind(ctx, v.result.Epoch)
	if err == nil && found {
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("tile %d of level %d is behind the end of the log: no sealer wrote it", index, level)})
	}
	return err
}

func (v *verifier) listTail(ctx context.Context, stored, last *sealdriver.Checkpoint) error {
	epoch, count := v.result.Epoch, int(v.size%tileWidth)
	for _, at := range []*sealdriver.Checkpoint{stored, last} {
		if at == nil || at.Size < v.size || at.Size/tileWidth != v.size/tileWidth {
			continue
		}
		leaves, err := parseLeaves(at.Leaves, int(at.Size%tileWidth))
		if err == nil {
			v.tail = leaves[:count]
			return nil
		}
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the stored checkpoint of size %d: %v", at.Size, err)})
	}
	tiles, err := v.conn.Tiles(ctx, epoch, v.size/tileWidth, v.size/tileWidth+1)
	if err != nil {
		return err
	}
	if len(tiles) == 1 && v.isStored(tiles[0].Index) {
		if leaves, err := parseLeaves(tiles[0].Leaves, tileWidth); err == nil {
			v.tail = leaves[:count]
			return nil
		}
	}
	if count > 0 {
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the rows of the last %d leaves are not known: no checkpoint of size %d is stored", count, v.size)})
		v.size, v.passed = v.size-int64(count), nil
	}
	return nil
}

// readMarks returns the marks of the leaves after the last full tile of a log of a size.
func readMarks(ctx context.Context, conn *sealdriver.Conn, epoch, size int64) (marks [][]byte, err error) {
	full := size - size%tileWidth
	marks = make([][]byte, size-full)
	checkpoints, err := conn.Checkpoints(ctx, epoch, full, size)
	if err != nil {
		return nil, err
	}
	for _, checkpoint := range checkpoints {
		stored := checkpoint.Marks
		for at := max(checkpoint.PreviousSize, full); at < checkpoint.Size && len(stored) >= sealdriver.MarkSize; at++ {
			marks[at-full], stored = stored[:sealdriver.MarkSize], stored[sealdriver.MarkSize:]
		}
	}
	return marks, nil
}
