package sealer

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// ProveConsistency returns the proof that the log of an epoch, as it was at newSize, begins
// with what it was at oldSize. It reads the tiles in the database, checks them against the
// stored checkpoint of newSize, and takes a connection of its own from the pool. Proofs from
// size 0 and for equal sizes are empty. [seal.CheckConsistency] checks a proof.
//
// The error matches [ErrNotSealed] if the stored log has fewer than newSize leaves, and
// [ErrForked] if it has more but no checkpoint of that size was ever signed here. It matches
// [ErrTampered] if the tiles or the rows are not as they were sealed, and [seal.ErrBounds]
// if oldSize is not 0 to newSize. schema may be empty.
func ProveConsistency(ctx context.Context, pool *pgxpool.Pool, schema string, epoch, oldSize, newSize int64) ([]seal.Hash, error) {
	proof, err := proveConsistency(ctx, pool, schema, epoch, oldSize, newSize)
	if err != nil {
		return nil, fmt.Errorf("proving that the log of epoch %d with %d leaves begins with that of %d: %w", epoch, newSize, oldSize, err)
	}
	return proof, nil
}

func proveConsistency(ctx context.Context, pool *pgxpool.Pool, schema string, epoch, oldSize, newSize int64) ([]seal.Hash, error) {
	if oldSize < 0 || oldSize > newSize || newSize > seal.MaxSize {
		return nil, seal.ErrBounds
	}
	conn, err := sealdriver.Open(ctx, pool, schema, sealdriver.Reader)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	at, err := signedAt(ctx, conn, epoch, newSize)
	if err != nil || newSize == 0 {
		return []seal.Hash{}, err
	}
	_, tail, err := tailAt(ctx, conn, at)
	if err != nil {
		return nil, err
	}
	proof, err := seal.ProveConsistency(oldSize, newSize, at.Root, tiles{ctx: ctx, conn: conn, epoch: epoch, size: newSize, tail: tail})
	if err != nil {
		return nil, tilesFault(err)
	}
	return proof, nil
}

// signedAt returns the stored checkpoint of a size. There is none of size 0.
func signedAt(ctx context.Context, conn *sealdriver.Conn, epoch, size int64) (*sealdriver.Checkpoint, error) {
	if size == 0 {
		return nil, nil //nolint:nilnil // the caller knows the empty log
	}
	at, err := conn.CheckpointBefore(ctx, epoch, size)
	if err != nil || at != nil && at.Size == size {
		return at, err
	}
	last, err := conn.CheckpointBefore(ctx, epoch, seal.MaxSize)
	switch {
	case err != nil:
		return nil, err
	case last == nil || last.Size < size:
		return nil, ErrNotSealed
	default:
		return nil, fmt.Errorf("%w: the database has no checkpoint of size %d and one of %d: run coordaudit verify with the exported one", ErrForked, size, last.Size)
	}
}

// tailAt returns the leaves after the last full tile of the log at a checkpoint, and their
// hashes. None are needed if that tile is full by now.
func tailAt(ctx context.Context, conn *sealdriver.Conn, at *sealdriver.Checkpoint) ([]leaf, []seal.Hash, error) {
	if hashes, err := conn.TileHashes(ctx, at.Epoch, 0, at.Size/tileWidth); err != nil || hashes != nil {
		return nil, nil, err
	}
	return tailOf(ctx, conn, at)
}

// tailOf is tailAt for a checkpoint whose last tile is not full.
func tailOf(ctx context.Context, conn *sealdriver.Conn, at *sealdriver.Checkpoint) ([]leaf, []seal.Hash, error) {
	leaves, err := parseLeaves(at.Leaves, int(at.Size%tileWidth))
	if err != nil {
		return nil, nil, fmt.Errorf("the checkpoint of size %d is %w: %w", at.Size, ErrTampered, err)
	}
	hashes, err := rehash(ctx, conn, leaves)
	return leaves, hashes, err
}
