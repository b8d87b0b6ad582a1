package seal

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// TileHeight is the height of the tiles.
	TileHeight = 8

	// TileWidth is the number of hashes in a full tile.
	TileWidth = 1 << TileHeight

	// MaxSize is the largest size of a log.
	MaxSize = 1 << 60
)

// Tree is the right edge of a log: all that it takes to append and to compute the root.
// The zero value is the empty log. It is not for concurrent use.
type Tree struct {
	size int64

	// perfect[k] is the root of the perfect subtree of 2^k leaves at the right edge. It
	// counts only where bit k of size is set.
	perfect [64]Hash

	// edge[l] has the hashes of the unfinished tile of level l.
	edge [][]Hash
}

// Tile is a full tile. Its hashes are the roots of subtrees of 256^Level leaves.
type Tile struct {
	Level  int
	Index  int64
	Hashes []Hash // TileWidth of them
}

// Root returns the root of the tile's subtree, which is one hash of the level above.
func (t Tile) Root() Hash {
	var sub Tree
	for i, h := range t.Hashes {
		sub.combine(int64(i), 0, h)
	}
	sub.size = int64(len(t.Hashes))
	return sub.fold()
}

// Size returns the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Append appends a leaf's hash. It returns the tiles that the leaf completed, level 0
// first. They are the caller's. It allocates only for a new unfinished tile.
func (t *Tree) Append(leaf Hash) (full []Tile) {
	n := t.size
	t.size++
	full = t.extend(0, leaf, full)
	h := leaf
	for k := range bits.TrailingZeros64(^uint64(n)) {
		h = tlog.NodeHash(t.perfect[k], h)
		if (k+1)%TileHeight == 0 {
			full = t.extend((k+1)/TileHeight, h, full)
		}
	}
	t.perfect[bits.TrailingZeros64(^uint64(n))] = h
	return full
}

// extend adds a hash to the unfinished tile of a level.
func (t *Tree) extend(level int, h Hash, full []Tile) []Tile {
	for len(t.edge) <= level {
		t.edge = append(t.edge, nil)
	}
	if t.edge[level] == nil {
		t.edge[level] = make([]Hash, 0, TileWidth)
	}
	t.edge[level] = append(t.edge[level], h)
	if len(t.edge[level]) < TileWidth {
		return full
	}
	tile := Tile{Level: level, Index: t.size>>(TileHeight*(level+1)) - 1, Hashes: t.edge[level]}
	t.edge[level] = nil
	return append(full, tile)
}

// combine adds hash number n of the level at a height to the perfect subtrees.
func (t *Tree) combine(n int64, height int, h Hash) {
	k := 0
	for ; n>>k&1 == 1; k++ {
		h = tlog.NodeHash(t.perfect[height+k], h)
	}
	t.perfect[height+k] = h
}

// Root returns the RFC 6962 root. That of the empty log is the SHA-256 of the empty text.
// The error matches [ErrBounds] if the log is larger than [MaxSize].
func (t *Tree) Root() (Hash, error) {
	if t.size > MaxSize {
		return Hash{}, fmt.Errorf("computing the root of %d leaves: a log has at most %d: %w", t.size, int64(MaxSize), ErrBounds)
	}
	return t.fold(), nil
}

func (t *Tree) fold() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	rest := uint64(t.size)
	h := t.perfect[bits.TrailingZeros64(rest)]
	for rest &= rest - 1; rest != 0; rest &= rest - 1 {
		h = tlog.NodeHash(t.perfect[bits.TrailingZeros64(rest)], h)
	}
	return h
}

// Edge returns the hashes of the unfinished tile of each level, level 0 first. They are
// the caller's. [ResumeTree] takes them.
func (t *Tree) Edge() [][]Hash {
	edge := make([][]Hash, 0, len(t.edge))
	for _, hashes := range t.edge {
		edge = append(edge, slices.Clone(hashes))
	}
	return edge
}

// Clone returns a copy that shares nothing with the tree.
func (t *Tree) Clone() *Tree {
	clone := &Tree{size: t.size, perfect: t.perfect, edge: make([][]Hash, len(t.edge))}
	for level, hashes := range t.edge {
		if len(hashes) > 0 {
			clone.edge[level] = append(make([]Hash, 0, TileWidth), hashes...)
		}
	}
	return clone
}

// ResumeTree rebuilds the tree of a size from the hashes of the unfinished tile of each
// level. Level 0 has the leaf hashes after the last full tile, and level l has the roots of
// the full tiles of level l-1 after the last full tile of level l. Levels at the end that
// have no hashes may be missing. The error matches [ErrBounds] if the size has other
// counts. Whether the hashes are right shows in the root.
func ResumeTree(size int64, levels [][]Hash) (*Tree, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("resuming a log of %d leaves: a log has 0 to %d: %w", size, int64(MaxSize), ErrBounds)
	}
	t := &Tree{size: size}
	for level := 0; level < len(levels) || size>>(TileHeight*level) != 0; level++ {
		var hashes []Hash
		if level < len(levels) {
			hashes = levels[level]
		}
		if want := int(size >> (TileHeight * level) % TileWidth); len(hashes) != want {
			return nil, fmt.Errorf("resuming a log of %d leaves: level %d has %d hashes and needs %d: %w", size, level, len(hashes), want, ErrBounds)
		}
		for i, h := range hashes {
			t.combine(int64(i), TileHeight*level, h)
		}
		var unfinished []Hash
		if len(hashes) > 0 {
			unfinished = append(make([]Hash, 0, TileWidth), hashes...)
		}
		t.edge = append(t.edge, unfinished)
	}
	return t, nil
}
