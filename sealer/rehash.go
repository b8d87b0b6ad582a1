package sealer

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// rehash hashes the rows of leaves again, in the order of the leaves. Rows that carry the same
// seq are taken in the order in which they were sealed. A missing row is an error: nothing
// expires and no text is erased before its leaf is in a full tile.
func rehash(ctx context.Context, conn *sealdriver.Conn, leaves []leaf) ([]seal.Hash, error) {
	found, err := hashRows(ctx, conn, leaves)
	if err != nil {
		return nil, err
	}
	hashes := make([]seal.Hash, 0, len(leaves))
	for _, of := range leaves {
		rows := found[of]
		if len(rows) == 0 {
			return nil, fmt.Errorf("the %s with seq %d is missing, so the trail is %w", of.kind, of.seq, ErrTampered)
		}
		hashes = append(hashes, rows[0].hash)
		found[of] = rows[1:]
	}
	return hashes, nil
}

// hashedRow is the hash of a row, and the id that names it.
type hashedRow struct {
	hash     seal.Hash
	id       [16]byte
	variants []variant // what it may have been before an erasure
}

func hashRows(ctx context.Context, conn *sealdriver.Conn, leaves []leaf) (map[leaf][]hashedRow, error) {
	var records completeness.Set
	others := map[seal.Kind]completeness.Set{}
	for _, of := range leaves {
		if of.kind == seal.Record {
			records.Add(of.seq, of.seq)
			continue
		}
		set := others[of.kind]
		set.Add(of.seq, of.seq)
		others[of.kind] = set
	}
	found := map[leaf][]hashedRow{}
	var hasher seal.Hasher
	keep := func(kind seal.Kind) func(values [][]byte) error {
		return func(values [][]byte) error { return addHashed(found, &hasher, kind, values) }
	}
	if len(records) > 0 {
		if err := conn.LateRows(ctx, records, keep(seal.Record)); err != nil {
			return nil, fmt.Errorf("reading sealed records: %w", err)
		}
	}
	for kind, set := range others {
		for _, span := range set {
			if err := conn.Rows(ctx, kind, span.First, span.Last, keep(kind)); err != nil {
				return nil, fmt.Errorf("reading sealed rows: %w", err)
			}
		}
	}
	return found, nil
}

func addHashed(found map[leaf][]hashedRow, hasher *seal.Hasher, kind seal.Kind, values [][]byte) error {
	hashed, seq, err := hashRow(hasher, kind, values)
	if err != nil {
		return err
	}
	of := leaf{kind: kind, seq: seq}
	found[of] = append(found[of], hashed)
	return nil
}

func hashRow(hasher *seal.Hasher, kind seal.Kind, values [][]byte) (hashed hashedRow, seq int64, err error) {
	row := seal.Row{Kind: kind, Version: seal.LeafVersion, Values: values}
	if hashed.hash, err = hasher.Hash(row); err != nil {
		return hashed, 0, err
	}
	if seq, err = row.Seq(); err != nil {
		return hashed, 0, err
	}
	hashed.id = idOf(values)
	hashed.variants, err = variantsOf(row)
	return hashed, seq, err
}
