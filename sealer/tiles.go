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
	tail  []seal.Hash // the leaves after the last full tile, none if that tile is full by now
	kept  *keptTiles  // nil keeps none
}

// keptTiles are the tiles above the lowest level that a log of one size was seen to have, as
// each proof needs them. It is bounded: the tiles of 67 million leaves take 8 MiB.
type keptTiles struct {
	hashes map[tileAt][]seal.Hash
	leaf   tileAt // the tile of the lowest level that is proved
}

type tileAt struct {
	level int
	index int64
}

const maxKeptTiles = 1024

func (k *keptTiles) get(at tileAt, width int) ([]seal.Hash, bool) {
	if k == nil || len(k.hashes[at]) < width {
		return nil, false
	}
	return k.hashes[at][:width], true
}

// put keeps a tile. Of the lowest level it keeps one, as another proof seldom needs the same.
func (k *keptTiles) put(at tileAt, hashes []seal.Hash) {
	if k == nil {
		return
	}
	if at.level == 0 {
		delete(k.hashes, k.leaf)
		k.leaf = at
	}
	if len(k.hashes) >= maxKeptTiles {
		clear(k.hashes)
	}
	k.hashes[at] = hashes
}

// ReadTile implements [seal.TileReader]. What is not stored as a full tile comes from the
// roots of the tiles below, or from the tail.
func (t tiles) ReadTile(level int, index int64, width int) ([]seal.Hash, error) {
	at := tileAt{level: level, index: index}
	if hashes, kept := t.kept.get(at, width); kept {
		return hashes, nil
	}
	hashes, err := t.read(at, width)
	if err != nil {
		return nil, fmt.Errorf("reading tile %d of level %d: %w", index, level, err)
	}
	if len(hashes) < width {
		return nil, fmt.Errorf("%w: level %d, index %d", errTileMissing, level, index)
	}
	t.kept.put(at, hashes)
	return hashes[:width], nil
}

func (t tiles) read(at tileAt, width int) ([]seal.Hash, error) {
	if at.level == 0 && at.index == t.size/tileWidth && len(t.tail) > 0 {
		return t.tail, nil
	}
	hashes, err := t.conn.TileHashes(t.ctx, t.epoch, at.level, at.index)
	if err == nil && hashes == nil && at.level > 0 {
		first := at.index * tileWidth
		return t.conn.TileRoots(t.ctx, t.epoch, at.level-1, first, first+int64(width))
	}
	return hashes, err
}

// tilesFault says that the tiles were tampered with, if that is why nothing can be proved.
func tilesFault(err error) error {
	if errors.Is(err, seal.ErrTile) || errors.Is(err, errTileMissing) {
		return fmt.Errorf("the log is %w, by its tiles: run coordaudit verify: %w", ErrTampered, err)
	}
	return err
}
