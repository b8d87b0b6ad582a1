package sealer

import (
	"context"
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

var errTileMissing = errors.New("a tile is missing or damaged")

// tiles reads the tiles of a log of one size. It lives as long as one call.
type tiles struct {
	ctx   context.Context //nolint:containedctx // seal.TileReader has none, and this is one call's
	conn  *sealdriver.Conn
	epoch int64
	size  int64
	tail  []seal.Hash // the leaves after the last full tile
}

// ReadTile implements [seal.TileReader]. What is not stored as a full tile comes from the
// roots of the tiles below, or from the tail.
func (t tiles) ReadTile(level int, index int64, width int) ([]seal.Hash, error) {
	hashes, err := t.conn.TileHashes(t.ctx, t.epoch, level, index)
	if err == nil && hashes == nil {
		if level == 0 && index == t.size/tileWidth {
			hashes = t.tail
		} else if level > 0 {
			first := index * tileWidth
			hashes, err = t.conn.TileRoots(t.ctx, t.epoch, level-1, first, first+int64(width))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading tile %d of level %d: %w", index, level, err)
	}
	if len(hashes) < width {
		return nil, fmt.Errorf("%w: level %d, index %d", errTileMissing, level, index)
	}
	return hashes[:width], nil
}

// tilesFault says that the tiles were tampered with, if that is why nothing can be proved.
func tilesFault(err error) error {
	if errors.Is(err, seal.ErrTile) || errors.Is(err, errTileMissing) {
		return fmt.Errorf("the tiles are %w: run coordaudit verify: %w", ErrTampered, err)
	}
	return err
}
