package seal

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// TileProof proves some leaves of one full tile together: docs/seal-format.md has the order of
// its hashes. Each hash that the leaves give themselves is left out, so that all leaves of a tile
// take none but Path.
type TileProof struct {
	Tile   int64  // the index of the tile
	Places Places // of the leaves in it

	// Hashes are the nodes in the tile that Places do not give: of [ProveTile].
	Hashes []Hash

	// Path leads from the root of the tile to that of the log. It is what [ProveInclusion]
	// returns after its first 8 hashes, for each leaf of the tile.
	Path []Hash
}

// ProveTile returns the Hashes of a [TileProof]. tile has the hashes of a full tile. The error
// matches [ErrTile] if it is none, or [ErrBounds] if there is no place.
func ProveTile(tile []Hash, places Places) (hashes []Hash, err error) {
	if len(tile) != TileWidth {
		return nil, fmt.Errorf("proving leaves of a tile: it has %d hashes and needs %d: %w", len(tile), TileWidth, ErrTile)
	}
	if places == (Places{}) {
		return nil, fmt.Errorf("proving leaves of a tile: no place was given: %w", ErrBounds)
	}
	var nodes tileNodes
	copy(nodes.hashes[:], tile)
	for place := range places.All() {
		nodes.known[place] = true
	}
	for width := TileWidth; width > 1; width /= 2 {
		for i := 0; i < width; i += 2 {
			left, right := nodes.known[i], nodes.known[i+1]
			switch {
			case left && !right:
				hashes = append(hashes, nodes.hashes[i+1])
			case right && !left:
				hashes = append(hashes, nodes.hashes[i])
			}
			nodes.hashes[i/2], nodes.known[i/2] = nodeHash(&nodes.hashes[i], &nodes.hashes[i+1]), left || right
		}
	}
	return hashes, nil
}

// tileNodes are the nodes of one level of a tile. The next level takes their place.
type tileNodes struct {
	hashes [TileWidth]Hash
	known  [TileWidth]bool
}

// Check returns nil if the proof shows that the log of a size and root has the leaves, of which
// there is one for each place. Otherwise the error matches [ErrProof] or [ErrBounds].
func (p *TileProof) Check(size int64, root Hash, leaves []Hash) error {
	if size < 0 || size > MaxSize || p.Tile < 0 || p.Tile >= size/TileWidth {
		return fmt.Errorf("checking leaves of tile %d in a log of %d: %w", p.Tile, size, ErrBounds)
	}
	tile, ok := p.fold(leaves, nil)
	// The tree above the tiles is that of a log whose leaves are the roots of the tiles.
	const last = TileWidth - 1
	if !ok || tlog.CheckRecord(p.Path, (size+last)/TileWidth, root, p.Tile, tile) != nil {
		return fmt.Errorf("checking leaves of tile %d in a log of %d: %w", p.Tile, size, ErrProof)
	}
	return nil
}

// Inclusion returns the proof of one leaf, as [ProveInclusion] does, from that of its tile. The
// error matches [ErrProof] if the place is none of the proof's, or if the proof has another number
// of hashes or leaves than it needs. It checks nothing else: see [CheckInclusion].
func (p *TileProof) Inclusion(place uint8, leaves []Hash) ([]Hash, error) {
	path := make([]Hash, 0, TileHeight+len(p.Path))
	if _, ok := p.fold(leaves, func(level, node int, sibling *Hash) {
		if int(place)>>level == node {
			path = append(path, *sibling)
		}
	}); !ok || !p.Places.Has(place) {
		return nil, fmt.Errorf("proving leaf %d of tile %d: %w", place, p.Tile, ErrProof)
	}
	return append(path, p.Path...), nil
}

// fold returns the root of the tile. It calls each, if that is not nil, with every node below it
// that is an ancestor of a leaf or one itself, and the other child of that node's parent. It is not
// ok if there are more or fewer hashes or leaves than places need.
func (p *TileProof) fold(leaves []Hash, each func(level, node int, sibling *Hash)) (root Hash, ok bool) {
	if len(leaves) != p.Places.Count() || len(leaves) == 0 {
		return Hash{}, false
	}
	var nodes tileNodes
	for place := range p.Places.All() {
		nodes.hashes[place], nodes.known[place], leaves = leaves[0], true, leaves[1:]
	}
	rest := p.Hashes
	for level, width := 0, TileWidth; width > 1; level, width = level+1, width/2 {
		for i := 0; i < width; i += 2 {
			left, right := nodes.known[i], nodes.known[i+1]
			nodes.known[i/2] = left || right
			if !left && !right {
				continue
			}
			if left != right {
				if len(rest) == 0 {
					return Hash{}, false
				}
				missing := i
				if left {
					missing++
				}
				nodes.hashes[missing], rest = rest[0], rest[1:]
			}
			if each != nil && left {
				each(level, i, &nodes.hashes[i+1])
			}
			if each != nil && right {
				each(level, i+1, &nodes.hashes[i])
			}
			nodes.hashes[i/2] = nodeHash(&nodes.hashes[i], &nodes.hashes[i+1])
		}
	}
	return nodes.hashes[0], len(rest) == 0
}

// nodeHash is tlog.NodeHash without allocating.
func nodeHash(left, right *Hash) Hash {
	const size = len(Hash{})
	node := [1 + 2*size]byte{1}
	copy(node[1:], left[:])
	copy(node[1+size:], right[:])
	return sha256.Sum256(node[:])
}
