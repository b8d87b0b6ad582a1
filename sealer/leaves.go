package sealer

import (
	"encoding/binary"
	"errors"

	"github.com/hoc-analytics/coordaudit/seal"
)

// leaf says which row a leaf of the log is.
type leaf struct {
	kind seal.Kind
	seq  int64
}

// tileWidth is the number of leaves of a full tile.
const tileWidth = 256

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
