package sealer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hoc-analytics/coordaudit/seal"
)

// isFirstRead reports whether the records of the part are compared, and those of the part before
// are not.
func (p *part) isFirstRead() bool { return p.index > 0 && p.index == p.verifier.after.Size/partLeaves }

// anchor returns the highest seq of a record in the part before this one, as far as a row is there
// that proves it, or 0. Where the rows of a part are not read, its tiles can say any seqs, and one
// that is too high would hide what was inserted below.
func (p *part) anchor(ctx context.Context) (int64, error) {
	tiles, err := p.conn.Tiles(ctx, p.verifier.result.Epoch, (p.index-1)*tileWidth, p.index*tileWidth)
	if err != nil {
		return 0, err
	}
	type record struct {
		leaf leaf
		hash seal.Hash
	}
	var records []record
	for _, tile := range tiles {
		leaves, err := leavesOf(tile)
		if err != nil {
			return 0, p.unreadable(tile.Index, "has a damaged list of leaves")
		}
		for i, of := range leaves {
			if of.kind == seal.Record {
				records = append(records, record{leaf: of, hash: tile.Hashes[i]})
			}
		}
	}
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(b.leaf.seq, a.leaf.seq) })
	for some := range slices.Chunk(records, tileWidth) {
		wanted := make([]leaf, len(some))
		for i := range some {
			wanted[i] = some[i].leaf
		}
		found, err := hashRows(ctx, p.conn, wanted)
		if err != nil {
			return 0, fmt.Errorf("looking for where to begin: %w", err)
		}
		for _, of := range some {
			if slices.ContainsFunc(found[of.leaf], func(row hashedRow) bool { return row.was(of.hash) }) {
				return of.leaf.seq, nil
			}
		}
	}
	return 0, nil
}

// was reports whether a row has a hash, or had it before texts of it were erased.
func (r hashedRow) was(hash seal.Hash) bool {
	return r.hash == hash || slices.ContainsFunc(r.variants, func(before variant) bool { return before.hash == hash })
}
