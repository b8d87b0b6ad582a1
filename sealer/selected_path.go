package sealer

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// aboveTiles is what the paths of the tiles below one full tile of level 1 share.
type aboveTiles struct {
	levels [][]seal.Hash // of that tile, without its root; nil if none was read yet
	index  int64
	path   []seal.Hash // of its root
}

// path leads from the root of a tile to that of the log. Who gets it checks it.
func (s *selecting) path(ctx context.Context, tile *sealdriver.Tile) ([]seal.Hash, error) {
	s.kept.put(tileAt{index: tile.Index}, tile.Hashes)
	index := tile.Index / tileWidth
	if s.above.levels == nil || s.above.index != index {
		path, err := s.leafPath(ctx, tile.Index)
		if err != nil {
			return nil, err
		}
		hashes, kept := s.kept.get(tileAt{level: 1, index: index}, tileWidth)
		if full := index < s.at.Size/tileWidth/tileWidth; !full || !kept {
			return path[seal.TileHeight:], nil
		}
		s.above = aboveTiles{levels: pyramid(hashes), index: index, path: path[2*seal.TileHeight:]}
	}
	path := make([]seal.Hash, 0, seal.TileHeight+len(s.above.path))
	for level, at := 0, int(tile.Index%tileWidth); level < seal.TileHeight; level, at = level+1, at/2 {
		path = append(path, s.above.levels[level][at^1])
	}
	return append(path, s.above.path...), nil
}

// pyramid returns the hashes of a full tile, and those of each level above them but the root.
func pyramid(hashes []seal.Hash) (levels [][]seal.Hash) {
	for len(hashes) > 1 {
		levels = append(levels, hashes)
		next := make([]seal.Hash, len(hashes)/2)
		for i := range next {
			next[i] = nodeHash(&hashes[2*i], &hashes[2*i+1])
		}
		hashes = next
	}
	return levels
}

// leafPath is the path of the first leaf of a tile.
func (s *selecting) leafPath(ctx context.Context, tile int64) ([]seal.Hash, error) {
	prove := func() ([]seal.Hash, error) {
		reader := tiles{ctx: ctx, conn: s.conn, epoch: s.at.Epoch, size: s.at.Size, tail: s.tail, kept: &s.kept}
		return seal.ProveInclusion(s.at.Size, tile*tileWidth, s.at.Root, reader)
	}
	path, err := prove()
	if s.tail != nil || !errors.Is(err, errTileMissing) || s.at.Size%tileWidth == 0 {
		return path, err
	}
	// The rows after the last full tile are hashed once a proof needs them.
	if _, s.tail, err = tailAt(ctx, s.conn, s.at); err != nil {
		return nil, err
	}
	return prove()
}

// nodeHash is a node of RFC 6962.
func nodeHash(left, right *seal.Hash) seal.Hash {
	const size = len(seal.Hash{})
	node := [1 + 2*size]byte{1}
	copy(node[1:], left[:])
	copy(node[1+size:], right[:])
	return sha256.Sum256(node[:])
}
