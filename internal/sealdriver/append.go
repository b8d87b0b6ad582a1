package sealdriver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

// ErrNotStored means that rows were accepted and are not there, or not as they were sent. The
// transaction was rolled back.
var ErrNotStored = errors.New("a trigger of the owner discards, removes or changes what is stored")

// Append stores tiles, the checkpoint that covers them and, on a cluster, the leaves that are
// new, in one transaction. It reads back what it stored: a checkpoint that is exported must be
// in the database.
func (c *Conn) Append(ctx context.Context, tiles []Tile, leaves []Leaf, checkpoint Checkpoint) error {
	return c.commit(ctx, func(db dbgen.DBTX) error {
		if len(leaves) > 0 {
			if err := c.queries.PersistLeaves(ctx, db, leafParams(checkpoint.Epoch, leaves)); err != nil {
				return err
			}
			if missed, err := c.unlisted(ctx, db, checkpoint.Epoch, leaves); err != nil || len(missed) > 0 {
				return notStored(leavesTable, err)
			}
		}
		sent := tileParams(checkpoint.Epoch, tiles)
		if len(tiles) > 0 {
			if err := c.queries.PersistTiles(ctx, db, sent); err != nil {
				return err
			}
		}
		row := checkpointParams(checkpoint)
		if err := c.queries.PersistCheckpoint(ctx, db, row); err != nil {
			return err
		}
		if err := fireDeferred(ctx, db); err != nil {
			return err
		}
		if len(tiles) > 0 {
			stored, err := c.queries.CountStoredTiles(ctx, db, sentTiles(sent))
			if err != nil || stored != int64(len(tiles)) {
				return notStored("coordination_audit_seal_tiles", err)
			}
		}
		stored, err := c.queries.IsCheckpointStored(ctx, db, dbgen.IsCheckpointStoredParams(row))
		if err != nil || !stored {
			return notStored("coordination_audit_seal_checkpoints", err)
		}
		return nil
	})
}

// fireDeferred has triggers act now that would act at the commit.
func fireDeferred(ctx context.Context, db dbgen.DBTX) error {
	_, err := db.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE")
	return err
}

// notStored is the error of rows that were not found, unless looking for them failed.
func notStored(table string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w in %s: drop it (migrate validate names it)", ErrNotStored, table)
}

func checkpointParams(checkpoint Checkpoint) dbgen.PersistCheckpointParams {
	return dbgen.PersistCheckpointParams{
		Epoch: checkpoint.Epoch, Size: checkpoint.Size, PreviousSize: checkpoint.PreviousSize,
		Root: checkpoint.Root[:], Leaves: checkpoint.Leaves, Marks: checkpoint.Marks,
		RecordsThrough: checkpoint.Through.Records, GapsThrough: checkpoint.Through.Gaps,
		StatementsThrough: checkpoint.Through.Statements, EventsThrough: checkpoint.Through.Events,
		Awaited: checkpoint.Awaited.String(), Note: checkpoint.Note,
	}
}

func tileParams(epoch int64, tiles []Tile) dbgen.PersistTilesParams {
	p := dbgen.PersistTilesParams{Epoch: epoch}
	for i := range tiles {
		t := &tiles[i]
		p.Levels = append(p.Levels, int16(t.Level))
		p.Indexes = append(p.Indexes, t.Index)
		p.Throughs = append(p.Throughs, t.Through)
		p.LateFroms = append(p.LateFroms, t.LateFrom)
		p.LateThroughs = append(p.LateThroughs, t.LateThrough)
		p.Roots = append(p.Roots, t.Root[:])
		p.Leaves = append(p.Leaves, t.Leaves)
		p.Hashes = append(p.Hashes, flat(t.Hashes))
	}
	return p
}

func flat(hashes []seal.Hash) []byte {
	bytes := make([]byte, 0, len(hashes)*len(seal.Hash{}))
	for i := range hashes {
		bytes = append(bytes, hashes[i][:]...)
	}
	return bytes
}

// sentTiles say by what the stored tiles are known again.
func sentTiles(sent dbgen.PersistTilesParams) dbgen.CountStoredTilesParams {
	p := dbgen.CountStoredTilesParams{
		Epoch: sent.Epoch, Levels: sent.Levels, Indexes: sent.Indexes, Throughs: sent.Throughs,
		LateFroms: sent.LateFroms, LateThroughs: sent.LateThroughs,
	}
	for i := range sent.Roots {
		digest := sha256.Sum256(slices.Concat(sent.Roots[i], sent.Leaves[i], sent.Hashes[i]))
		p.Digests = append(p.Digests, digest[:])
	}
	return p
}

// PersistEvent puts an event on record and returns its seq.
func (c *Conn) PersistEvent(ctx context.Context, kind string, epoch int64, body string) (seq int64, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return 0, fmt.Errorf("making an id: %w", err)
	}
	err = c.commit(ctx, func(db dbgen.DBTX) error {
		sent := dbgen.PersistSealEventParams{EventID: pgtype.UUID{Bytes: id, Valid: true}, Kind: kind, Epoch: epoch, Body: body}
		row, err := c.queries.PersistSealEvent(ctx, db, sent)
		const table = "coordination_audit_seal_events"
		if errors.Is(err, pgx.ErrNoRows) {
			return notStored(table, nil)
		}
		if err != nil {
			return err
		}
		if err := fireDeferred(ctx, db); err != nil {
			return err
		}
		seq = row.Seq
		stored, err := c.queries.IsSealEventStored(ctx, db, dbgen.IsSealEventStoredParams(sent))
		if err != nil || !stored {
			return notStored(table, err)
		}
		return nil
	})
	return seq, err
}
