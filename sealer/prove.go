package sealer

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Prove returns a bundle that proves offline that a record is in the log, under the last
// stored checkpoint. Verify it with the exported checkpoints' public key:
// [github.com/hoc-analytics/coordaudit/seal.Proof.Verify].
//
// The error matches [audit.ErrNotFound], [ErrNotSealed], or [ErrTampered] if the record or
// the tiles are not as they were sealed. schema may be empty.
func Prove(ctx context.Context, pool *pgxpool.Pool, schema string, id uuid.UUID) (seal.Proof, error) {
	conn, err := sealdriver.Open(ctx, pool, schema)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s: %w", id, err)
	}
	defer conn.Close(ctx)
	proof, err := prove(ctx, conn, id)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s: %w", id, err)
	}
	return proof, nil
}

func prove(ctx context.Context, conn *sealdriver.Conn, id uuid.UUID) (seal.Proof, error) {
	seq, err := conn.RecordSeq(ctx, id)
	if err != nil {
		return seal.Proof{}, err
	}
	last, err := conn.LastCheckpoint(ctx)
	if err != nil {
		return seal.Proof{}, err
	}
	if last == nil {
		return seal.Proof{}, fmt.Errorf("%w: no checkpoint is stored: run coordaudit seal", ErrNotSealed)
	}
	row, err := readRow(ctx, conn, seq, id)
	if err != nil {
		return seal.Proof{}, err
	}
	hash, err := row.Hash()
	if err != nil {
		return seal.Proof{}, err
	}
	tail, err := parseLeaves(last.Leaves, int(last.Size%tileWidth))
	if err != nil {
		return seal.Proof{}, fmt.Errorf("the checkpoint of size %d is %w: %w", last.Size, ErrTampered, err)
	}
	hashes, err := rehash(ctx, conn, tail)
	if err != nil {
		return seal.Proof{}, err
	}
	index, err := findLeaf(ctx, conn, last, tail, hashes, seq, hash)
	if err != nil {
		return seal.Proof{}, err
	}
	reader := tiles{ctx: ctx, conn: conn, epoch: last.Epoch, size: last.Size, tail: hashes}
	path, err := seal.ProveInclusion(last.Size, index, last.Root, reader)
	if errors.Is(err, seal.ErrTile) || errors.Is(err, errTileMissing) {
		return seal.Proof{}, fmt.Errorf("the tiles are %w: run coordaudit verify: %w", ErrTampered, err)
	}
	if err != nil {
		return seal.Proof{}, err
	}
	return seal.Proof{Row: row, Index: index, Hashes: path, Checkpoint: []byte(last.Note)}, nil
}

// readRow copies the values of a record.
func readRow(ctx context.Context, conn *sealdriver.Conn, seq int64, id uuid.UUID) (row seal.Row, err error) {
	row = seal.Row{Kind: seal.Record, Version: seal.LeafVersion}
	err = conn.LateRows(ctx, completeness.SetOf(seq), func(values [][]byte) error {
		if idOf(values) != id {
			return nil // another row with the same seq
		}
		for _, value := range values {
			if value != nil {
				value = append([]byte{}, value...)
			}
			row.Values = append(row.Values, value)
		}
		return nil
	})
	return row, err
}

// findLeaf finds the place of a record with a hash.
func findLeaf(ctx context.Context, conn *sealdriver.Conn, last *sealdriver.Checkpoint, tail []leaf, hashes []seal.Hash, seq int64, hash seal.Hash) (int64, error) {
	of, seen := leaf{kind: seal.Record, seq: seq}, false
	for i, at := range tail {
		seen = seen || at == of
		if at == of && hashes[i] == hash {
			return last.Size - int64(len(tail)-i), nil
		}
	}
	places, err := placesOf(ctx, conn, last.Epoch, seq)
	if errors.Is(err, errLeaves) {
		return 0, fmt.Errorf("the tiles are %w: run coordaudit verify: %w", ErrTampered, err)
	}
	if err != nil {
		return 0, err
	}
	for _, at := range places {
		if at.hash == hash {
			return at.index, nil
		}
	}
	seen = seen || len(places) > 0
	if seen {
		return 0, fmt.Errorf("the record with seq %d is %w: run coordaudit verify", seq, ErrTampered)
	}
	return 0, fmt.Errorf("%w: the last checkpoint covers records up to seq %d, and this one has %d", ErrNotSealed, last.Through.Records, seq)
}
