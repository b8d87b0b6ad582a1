package seal

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// TileReader reads tiles of a log.
type TileReader interface {
	// ReadTile returns the first width hashes of a tile. width is 1 to 256: a tile at the
	// right edge of a log may be unfinished, and it may be asked for as it was in a smaller
	// log.
	ReadTile(level int, index int64, width int) ([]Hash, error)
}

// ProveInclusion returns the proof that the log of a size and root has a leaf at an index.
// The tiles are checked against the root. The error matches [ErrTile] if they do not have
// it, [ErrBounds], or it is the reader's.
func ProveInclusion(size, index int64, root Hash, r TileReader) ([]Hash, error) {
	if err := checkIndex(size, index); err != nil {
		return nil, fmt.Errorf("proving leaf %d of %d: %w", index, size, err)
	}
	tiles := &tileAdapter{reader: r}
	proof, err := tlog.ProveRecord(size, index, tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles))
	if err != nil {
		return nil, fmt.Errorf("proving leaf %d of %d: %w", index, size, tiles.cause())
	}
	return proof, nil
}

// ProveConsistency returns the proof that a log begins with the smaller log that it once
// was. Proofs from size 0 and for equal sizes are empty. Errors are those of
// [ProveInclusion].
func ProveConsistency(oldSize, newSize int64, newRoot Hash, r TileReader) ([]Hash, error) {
	if err := checkSizes(oldSize, newSize); err != nil {
		return nil, fmt.Errorf("proving that the log of %d leaves begins with that of %d: %w", newSize, oldSize, err)
	}
	if oldSize == 0 {
		return []Hash{}, nil
	}
	tiles := &tileAdapter{reader: r}
	proof, err := tlog.ProveTree(newSize, oldSize, tlog.TileHashReader(tlog.Tree{N: newSize, Hash: newRoot}, tiles))
	if err != nil {
		return nil, fmt.Errorf("proving that the log of %d leaves begins with that of %d: %w", newSize, oldSize, tiles.cause())
	}
	return proof, nil
}

// CheckInclusion returns nil if the proof shows that the log of a size and root has a leaf
// at an index. Otherwise the error matches [ErrProof] or [ErrBounds].
func CheckInclusion(size int64, root Hash, index int64, leaf Hash, proof []Hash) error {
	if err := checkIndex(size, index); err != nil {
		return fmt.Errorf("checking leaf %d of %d: %w", index, size, err)
	}
	if tlog.CheckRecord(proof, size, root, index, leaf) != nil {
		return fmt.Errorf("checking leaf %d of %d: %w", index, size, ErrProof)
	}
	return nil
}

// CheckConsistency returns nil if the proof shows that the new log begins with the old one.
// Otherwise the error matches [ErrProof] or [ErrBounds].
func CheckConsistency(oldSize int64, oldRoot Hash, newSize int64, newRoot Hash, proof []Hash) error {
	if err := checkSizes(oldSize, newSize); err != nil {
		return fmt.Errorf("checking that the log of %d leaves begins with that of %d: %w", newSize, oldSize, err)
	}
	holds := false
	if oldSize == 0 {
		empty := Hash(sha256.Sum256(nil))
		holds = oldRoot == empty && len(proof) == 0 && (newSize > 0 || newRoot == empty)
	} else {
		holds = tlog.CheckTree(proof, newSize, newRoot, oldSize, oldRoot) == nil
	}
	if !holds {
		return fmt.Errorf("checking that the log of %d leaves begins with that of %d: %w", newSize, oldSize, ErrProof)
	}
	return nil
}

// checkIndex keeps from tlog what it does not bear: sizes from 2^62 never end.
func checkIndex(size, index int64) error {
	if size < 1 || size > MaxSize || index < 0 || index >= size {
		return ErrBounds
	}
	return nil
}

func checkSizes(oldSize, newSize int64) error {
	if oldSize < 0 || oldSize > newSize || newSize > MaxSize {
		return ErrBounds
	}
	return nil
}

// tileAdapter is a TileReader as tlog wants it.
type tileAdapter struct {
	reader TileReader
	err    error // the reader's
}

// cause is the error of the reader, or else that of the tiles.
func (a *tileAdapter) cause() error {
	if a.err != nil {
		return a.err
	}
	return ErrTile
}

// Height implements [tlog.TileReader].
func (a *tileAdapter) Height() int { return TileHeight }

// ReadTiles implements [tlog.TileReader].
func (a *tileAdapter) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		hashes, err := a.reader.ReadTile(tile.L, tile.N, tile.W)
		if err == nil && len(hashes) != tile.W {
			err = fmt.Errorf("tile has %d hashes and needs %d: %w", len(hashes), tile.W, ErrTile)
		}
		if err != nil {
			a.err = fmt.Errorf("reading tile %d of level %d: %w", tile.N, tile.L, err)
			return nil, a.err
		}
		flat := make([]byte, 0, tile.W*tlog.HashSize)
		for i := range hashes {
			flat = append(flat, hashes[i][:]...)
		}
		data = append(data, flat)
	}
	return data, nil
}

// SaveTiles implements [tlog.TileReader]. Nothing is cached.
func (a *tileAdapter) SaveTiles([]tlog.Tile, [][]byte) {}
