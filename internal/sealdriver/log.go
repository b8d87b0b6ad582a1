package sealdriver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Tile is a stored tile.
type Tile struct {
	Level                 int
	Index                 int64
	Through               int64 // the highest seq of a record up to and in the tile
	LateFrom, LateThrough int64 // the range of its late records; 0 if there is none
	Root                  seal.Hash
	Leaves                []byte // at level 0: see package sealer
	Hashes                []seal.Hash
}

// Checkpoint is a stored checkpoint.
type Checkpoint struct {
	Epoch, Size, PreviousSize int64
	Root                      seal.Hash
	Leaves                    []byte // those after the last full tile
	Marks                     []byte // [MarkSize] bytes of the hash of each leaf there that is new
	Through                   Positions
	Awaited                   completeness.Set
	Note                      string
	MadeAt                    time.Time
}

// MarkSize is the size of a mark: enough to tell which row was changed, and no proof.
const MarkSize = 4

func hashesOf(bytes []byte) ([]seal.Hash, error) {
	const size = len(seal.Hash{})
	if len(bytes)%size != 0 {
		return nil, fmt.Errorf("%d bytes are no hashes", len(bytes))
	}
	hashes := make([]seal.Hash, len(bytes)/size)
	for i := range hashes {
		copy(hashes[i][:], bytes[i*size:])
	}
	return hashes, nil
}

// LastCheckpoint returns the last checkpoint of the last epoch, or nil if nothing is sealed.
func (c *Conn) LastCheckpoint(ctx context.Context) (*Checkpoint, error) {
	row, err := c.queries.GetLastCheckpoint(ctx, c.db)
	return c.checkpointOf(ctx, row, err)
}

// Described is the last stored checkpoint, and how many records it does not cover.
type Described struct {
	Checkpoint
	Unsealed int64
}

// DescribeLog returns the last checkpoint, or nil if nothing is sealed. It counts twice most
// records that are not sealed at most. hasTables is false if the schema is older than the
// tables of the seal.
func (c *Conn) DescribeLog(ctx context.Context, most int64) (log *Described, hasTables bool, err error) {
	if hasTables, err = c.queries.HasSealTables(ctx, c.db); err != nil || !hasTables {
		return nil, false, c.readFailure(ctx, err)
	}
	distributed, err := c.Distributed(ctx)
	if err != nil {
		return nil, true, err
	}
	if distributed {
		log, err = c.describeOnCluster(ctx, most)
		return log, true, err
	}
	row, err := c.queries.DescribeLog(ctx, c.db, dbgen.DescribeLogParams{Most: most})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, true, nil
	}
	if err != nil {
		return nil, true, c.readFailure(ctx, err)
	}
	log = &Described{Checkpoint: Checkpoint{Epoch: row.Epoch, Size: row.Size, Note: row.Note, MadeAt: row.MadeAt.Time}, Unsealed: row.Unsealed}
	copy(log.Root[:], row.Root)
	return log, true, nil
}

// describeOnCluster counts the records above the highest seq that is sealed. Those below that are
// not sealed yet are few, and to find them takes a look at every record.
func (c *Conn) describeOnCluster(ctx context.Context, most int64) (*Described, error) {
	last, err := c.LastCheckpoint(ctx)
	if err != nil || last == nil {
		return nil, err
	}
	unsealed, err := c.queries.CountRecordsAfter(ctx, c.db, dbgen.CountRecordsAfterParams{After: last.Through.Records, Most: most})
	return &Described{Checkpoint: *last, Unsealed: unsealed}, c.readFailure(ctx, err)
}

// CheckpointBefore returns the largest checkpoint of an epoch up to a size, or nil.
func (c *Conn) CheckpointBefore(ctx context.Context, epoch, size int64) (*Checkpoint, error) {
	row, err := c.queries.GetCheckpointBefore(ctx, c.db, dbgen.GetCheckpointBeforeParams{Epoch: epoch, Size: size})
	return c.checkpointOf(ctx, dbgen.GetLastCheckpointRow(row), err)
}

func (c *Conn) checkpointOf(ctx context.Context, row dbgen.GetLastCheckpointRow, err error) (*Checkpoint, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	awaited, err := completeness.ParseSet(row.Awaited)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of size %d: %w", row.Size, err)
	}
	checkpoint := &Checkpoint{
		Epoch: row.Epoch, Size: row.Size, PreviousSize: row.PreviousSize, Leaves: row.Leaves,
		Through: Positions{Records: row.RecordsThrough, Gaps: row.GapsThrough, Statements: row.StatementsThrough, Events: row.EventsThrough},
		Awaited: awaited, Note: row.Note, MadeAt: row.MadeAt.Time,
	}
	if copy(checkpoint.Root[:], row.Root) != len(checkpoint.Root) {
		return nil, fmt.Errorf("reading the checkpoint of size %d: its root has %d bytes", row.Size, len(row.Root))
	}
	return checkpoint, nil
}

// Checkpoints returns the checkpoints of an epoch whose size is above after and not above
// through, in order. Their leaves and what they await are not set.
func (c *Conn) Checkpoints(ctx context.Context, epoch, after, through int64) ([]Checkpoint, error) {
	rows, err := c.queries.ListCheckpoints(ctx, c.db, dbgen.ListCheckpointsParams{Epoch: epoch, After: after, Through: through})
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	checkpoints := make([]Checkpoint, len(rows))
	for i, row := range rows {
		checkpoints[i] = Checkpoint{Epoch: epoch, Size: row.Size, PreviousSize: row.PreviousSize, Marks: row.Marks, Note: row.Note, MadeAt: row.MadeAt.Time}
		copy(checkpoints[i].Root[:], row.Root)
	}
	return checkpoints, nil
}

// CheckpointOf returns what is stored of a checkpoint of an epoch, or nil if that is another
// one or nothing.
func (c *Conn) CheckpointOf(ctx context.Context, epoch int64, of seal.Checkpoint) (*Checkpoint, error) {
	stored, err := c.CheckpointBefore(ctx, epoch, of.Size)
	if err != nil || stored == nil || stored.Size != of.Size || stored.Root != of.Root {
		return nil, err
	}
	return stored, nil
}

// TileRoots returns the stored roots of the tiles of a level from first to before-1. A tile
// that is missing ends the list.
func (c *Conn) TileRoots(ctx context.Context, epoch int64, level int, first, before int64) ([]seal.Hash, error) {
	rows, err := c.queries.ListTileRoots(ctx, c.db, dbgen.ListTileRootsParams{
		Epoch: epoch, Level: int16(level), First: first, Before: before,
	})
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	var roots []seal.Hash
	for i, row := range rows {
		var root seal.Hash
		if row.Idx != first+int64(i) || copy(root[:], row.Root) != len(root) {
			break
		}
		roots = append(roots, root)
	}
	return roots, nil
}

// TileHashes returns the hashes of one tile, or nil if it is missing.
func (c *Conn) TileHashes(ctx context.Context, epoch int64, level int, index int64) ([]seal.Hash, error) {
	row, err := c.queries.GetTile(ctx, c.db, dbgen.GetTileParams{Epoch: epoch, Level: int16(level), Idx: index})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	return hashesOf(row.Hashes)
}

// Tiles returns the tiles of level 0 from first to before-1, as far as they are there.
func (c *Conn) Tiles(ctx context.Context, epoch, first, before int64) ([]Tile, error) {
	rows, err := c.queries.ListTiles(ctx, c.db, dbgen.ListTilesParams{Epoch: epoch, First: first, Before: before})
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	tiles := make([]Tile, len(rows))
	for i, row := range rows {
		hashes, err := hashesOf(row.Hashes)
		if err != nil {
			return nil, fmt.Errorf("reading tile %d: %w", row.Idx, err)
		}
		tiles[i] = Tile{
			Index: row.Idx, Through: row.Through, LateFrom: row.LateFrom, LateThrough: row.LateThrough,
			Leaves: row.Leaves, Hashes: hashes,
		}
		copy(tiles[i].Root[:], row.Root)
	}
	return tiles, nil
}

// TileBehind returns a tile behind the last stored checkpoint of an epoch, if there is one.
func (c *Conn) TileBehind(ctx context.Context, epoch int64) (level int, index int64, found bool, err error) {
	row, err := c.queries.FindTileBehind(ctx, c.db, dbgen.FindTileBehindParams{Epoch: epoch})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, false, nil
	}
	return int(row.Level), row.Idx, err == nil, c.readFailure(ctx, err)
}

// FindTiles returns the tiles of level 0 that may hold the record of a seq.
func (c *Conn) FindTiles(ctx context.Context, epoch, seq int64) ([]Tile, error) {
	rows, err := c.queries.FindTiles(ctx, c.db, dbgen.FindTilesParams{Epoch: epoch, Seq: seq})
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	tiles := make([]Tile, len(rows))
	for i, row := range rows {
		hashes, err := hashesOf(row.Hashes)
		if err != nil {
			return nil, fmt.Errorf("reading tile %d: %w", row.Idx, err)
		}
		tiles[i] = Tile{Index: row.Idx, Leaves: row.Leaves, Hashes: hashes}
	}
	return tiles, nil
}

// OpenedEpoch returns the event that opened the newest epoch, or a zero one if no event did.
func (c *Conn) OpenedEpoch(ctx context.Context) (seq, epoch int64, body string, err error) {
	row, err := c.queries.GetOpenedEpoch(ctx, c.db)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, "", nil
	}
	return row.Seq, row.Epoch, row.Body, c.readFailure(ctx, err)
}
