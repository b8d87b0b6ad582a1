package sealer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// leaf says which row a leaf of the log is.
type leaf struct {
	kind seal.Kind
	seq  int64
}

// tileWidth is the number of leaves of a full tile.
const tileWidth = 256

// maxSeq is the highest seq that fits into a list of leaves.
const maxSeq = 1<<61 - 1

// appendLeaves encodes the leaves of a tile in their order. Each is a varint of two bits for
// the kind, and the distance from the seq before it of the same kind, so rows that follow
// each other take a byte each.
func appendLeaves(dst []byte, leaves []leaf) []byte {
	var last [4]int64
	for _, l := range leaves {
		distance := l.seq - last[l.kind-1]
		last[l.kind-1] = l.seq
		dst = binary.AppendVarint(dst, distance<<2|int64(l.kind-1))
	}
	return dst
}

var errLeaves = errors.New("the list of leaves is damaged")

// parseLeaves decodes count leaves.
func parseLeaves(src []byte, count int) ([]leaf, error) {
	leaves := make([]leaf, 0, count)
	var last [4]int64
	for len(src) > 0 {
		code, n := binary.Varint(src)
		if n <= 0 || len(leaves) == count {
			return nil, errLeaves
		}
		src = src[n:]
		kind := code & 3
		last[kind] += code >> 2
		leaves = append(leaves, leaf{kind: seal.Kind(kind + 1), seq: last[kind]})
	}
	if len(leaves) != count {
		return nil, errLeaves
	}
	return leaves, nil
}

// leavesOf decodes the leaves of a full tile.
func leavesOf(tile sealdriver.Tile) ([]leaf, error) {
	leaves, err := parseLeaves(tile.Leaves, tileWidth)
	if err == nil && len(tile.Hashes) != tileWidth {
		err = errLeaves
	}
	return leaves, err
}

// place is where a leaf is in the full tiles.
type place struct {
	index int64
	hash  seal.Hash
	tile  []seal.Hash // all hashes of its tile
}

// placesOf returns the places of a record's leaf in the full tiles. The error matches
// errLeaves if a tile is damaged; the places in the others are returned as well.
func placesOf(ctx context.Context, conn *sealdriver.Conn, epoch, seq int64) (places []place, err error) {
	tiles, err := conn.FindTiles(ctx, epoch, seq)
	if err != nil {
		return nil, err
	}
	of := leaf{kind: seal.Record, seq: seq}
	for _, tile := range tiles {
		leaves, damaged := leavesOf(tile)
		if damaged != nil {
			err = fmt.Errorf("tile %d: %w", tile.Index, damaged)
			continue
		}
		for i, at := range leaves {
			if at == of {
				places = append(places, place{index: tile.Index*tileWidth + int64(i), hash: tile.Hashes[i], tile: tile.Hashes})
			}
		}
	}
	return places, err
}
