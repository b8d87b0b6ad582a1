package sealer

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// findTail finds the leaves after the last full tile. If the log has grown since, their tile
// has a list of them. Else the checkpoint has it.
func (v *verifier) findTail(ctx context.Context) error {
	epoch := v.result.Epoch
	last, err := v.conn.CheckpointBefore(ctx, epoch, seal.MaxSize)
	if err != nil {
		return err
	}
	if last == nil || last.Size < v.size {
		have := int64(0)
		if last != nil {
			have = last.Size
		}
		v.find(Finding{Fault: CutOff, Text: fmt.Sprintf("the checkpoint covers %d leaves, the log has %d", v.size, have)})
		v.size = have
	}
	if last == nil {
		return nil
	}
	v.awaited = last.Awaited
	stored := last
	if last.Size != v.size {
		if stored, err = v.conn.CheckpointBefore(ctx, epoch, v.size); err != nil {
			return err
		}
	}
	count := int(v.size % tileWidth)
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
	if len(tiles) == 1 {
		if leaves, err := parseLeaves(tiles[0].Leaves, tileWidth); err == nil {
			v.tail = leaves[:count]
			return nil
		}
	}
	if count > 0 {
		v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the rows of the last %d leaves are not known: no checkpoint of size %d is stored", count, v.size)})
		v.size -= int64(count)
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
