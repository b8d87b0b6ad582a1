package sealdriver

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

const leavesTable = "coordination_audit_seal_leaves"

// Leaf says which row a leaf of the log is. It is stored for a trail on a Citus cluster.
type Leaf struct {
	Kind  seal.Kind // 0 if the row is not there any more
	ID    uuid.UUID // the audit id, gap id, source id or event id
	No    int64     // the number of a statement
	Index int64
}

// LeafOf returns the leaf of a row with these values, without its index.
func LeafOf(kind seal.Kind, values [][]byte) (leaf Leaf) {
	leaf.Kind = kind
	copy(leaf.ID[:], values[1]) // the second value of every kind of row
	if kind == seal.Statement && len(values[2]) == 8 {
		leaf.No = int64(binary.BigEndian.Uint64(values[2]))
	}
	return leaf
}

// Gone returns the leaf of a row that is not there any more.
func Gone(index int64) Leaf { return Leaf{No: index, Index: index} }

// HasLeaves reports whether the rows of the table of leaves are on the workers.
func (c *Conn) HasLeaves(ctx context.Context) (bool, error) {
	return c.asked(ctx, &c.hasLeaves, c.queries.HasSealLeaves)
}

// DescribeCluster reads the facts of a distributed trail. No seq decides about anything there,
// so neither do the sequences.
func (c *Conn) DescribeCluster(ctx context.Context) (Facts, error) {
	row, err := c.queries.DescribeClusterSealing(ctx, c.db)
	if err != nil {
		return Facts{}, c.readFailure(ctx, err)
	}
	return Facts{InRecovery: row.InRecovery, ReadsSequences: row.ReadsSequences, Isolation: row.Isolation, Unlogged: row.Unlogged}, nil
}

// NextUnsealed returns the lowest seq from first on of a row that has no leaf in an epoch.
func (c *Conn) NextUnsealed(ctx context.Context, kind seal.Kind, epoch, first int64) (seq int64, found bool, err error) {
	of := dbgen.NextUnsealedRecordParams{First: first, Epoch: epoch}
	var row dbgen.NextUnsealedRecordRow
	switch kind {
	case seal.Gap:
		var gap dbgen.NextUnsealedGapRow
		gap, err = c.queries.NextUnsealedGap(ctx, c.db, dbgen.NextUnsealedGapParams(of))
		row = dbgen.NextUnsealedRecordRow(gap)
	case seal.Statement:
		var statement dbgen.NextUnsealedStatementRow
		statement, err = c.queries.NextUnsealedStatement(ctx, c.db, dbgen.NextUnsealedStatementParams(of))
		row = dbgen.NextUnsealedRecordRow(statement)
	case seal.Record, seal.Event:
		row, err = c.queries.NextUnsealedRecord(ctx, c.db, of)
	}
	return row.Seq, row.Found, c.readFailure(ctx, err)
}

// Unsealed reads rows of a kind that have no leaf in an epoch, with a seq from first to last and
// in that order.
func (c *Conn) Unsealed(ctx context.Context, kind seal.Kind, epoch, first, last int64, each func(values [][]byte) error) error {
	sql := dbgen.ListUnsealedRecords
	switch kind {
	case seal.Gap:
		sql = dbgen.ListUnsealedGaps
	case seal.Statement:
		sql = dbgen.ListUnsealedStatements
	case seal.Record, seal.Event:
	}
	return c.stream(ctx, kind, sql, each, first, last, epoch)
}

// AddLeaves stores leaves of a log that was sealed before. Those that are there stay.
func (c *Conn) AddLeaves(ctx context.Context, epoch int64, leaves []Leaf) error {
	return c.commit(ctx, func(db dbgen.DBTX) error {
		if err := c.queries.PersistLeavesAgain(ctx, db, dbgen.PersistLeavesAgainParams(leafParams(epoch, leaves))); err != nil {
			return err
		}
		missed, err := c.unlisted(ctx, db, epoch, leaves)
		if err != nil {
			return err
		}
		for _, of := range missed { // a row that is listed at another place stays there
			if rows, err := c.queries.GetLeaf(ctx, db, getLeafParams(epoch, of)); err != nil || len(rows) == 0 {
				return notStored(leavesTable, err)
			}
		}
		return nil
	})
}

// unlisted returns those of a range of leaves that are not stored as they were sent: their rows
// would be sealed again in each round.
func (c *Conn) unlisted(ctx context.Context, db dbgen.DBTX, epoch int64, sent []Leaf) (missed []Leaf, err error) {
	rows, err := c.queries.ListLeaves(ctx, db, dbgen.ListLeavesParams{
		Epoch: epoch, First: sent[0].Index, Before: sent[len(sent)-1].Index + 1, Most: math.MaxInt64,
	})
	listed := make(map[Leaf]bool, len(rows))
	for _, row := range rows {
		listed[Leaf{Kind: seal.Kind(row.Kind), ID: row.RowID.Bytes, No: row.RowNo, Index: row.LeafIndex}] = true
	}
	for _, of := range sent {
		if !listed[of] {
			missed = append(missed, of)
		}
	}
	return missed, err
}

func getLeafParams(epoch int64, of Leaf) dbgen.GetLeafParams {
	return dbgen.GetLeafParams{RowID: pgtype.UUID{Bytes: of.ID, Valid: true}, RowNo: of.No, Kind: int16(of.Kind), Epoch: epoch}
}

func leafParams(epoch int64, leaves []Leaf) dbgen.PersistLeavesParams {
	p := dbgen.PersistLeavesParams{Epoch: epoch, RowIDs: make([]pgtype.UUID, len(leaves))}
	for i, leaf := range leaves {
		p.RowIDs[i] = pgtype.UUID{Bytes: leaf.ID, Valid: true}
		p.RowNos = append(p.RowNos, leaf.No)
		p.LeafIndexes = append(p.LeafIndexes, leaf.Index)
		p.Kinds = append(p.Kinds, int16(leaf.Kind))
	}
	return p
}

// IndexedThrough returns how many leaves of a log, up to a size, are stored with their rows: as
// many as the last one that is stored shows.
func (c *Conn) IndexedThrough(ctx context.Context, epoch, size int64) (int64, error) {
	last, err := c.queries.GetLastLeaf(ctx, c.db, dbgen.GetLastLeafParams{Epoch: epoch, Before: size})
	return last + 1, c.readFailure(ctx, err)
}

// Listed returns how many leaves from first to before-1 are stored.
func (c *Conn) Listed(ctx context.Context, epoch, first, before int64) (int64, error) {
	count, err := c.queries.CountLeaves(ctx, c.db, dbgen.CountLeavesParams{Epoch: epoch, First: first, Before: before})
	return count, c.readFailure(ctx, err)
}

// LeafIndex returns the place of a row in the log of an epoch, and whether it has one.
func (c *Conn) LeafIndex(ctx context.Context, epoch int64, of Leaf) (index int64, found bool, err error) {
	rows, err := c.queries.GetLeaf(ctx, c.db, getLeafParams(epoch, of))
	if err != nil || len(rows) == 0 {
		return 0, false, c.readFailure(ctx, err)
	}
	return rows[0], true, nil
}

// OtherLeaves lists the stored leaves of gaps and statements from first to before-1.
func (c *Conn) OtherLeaves(ctx context.Context, epoch, first, before int64) ([]Leaf, error) {
	rows, err := c.queries.ListOtherLeaves(ctx, c.db, dbgen.ListOtherLeavesParams{Epoch: epoch, First: first, Before: before})
	leaves := make([]Leaf, len(rows))
	for i, row := range rows {
		leaves[i] = Leaf{Kind: seal.Kind(row.Kind), ID: row.RowID.Bytes, No: row.RowNo, Index: row.LeafIndex}
	}
	return leaves, c.readFailure(ctx, err)
}

// BeyondLeaf is a stored leaf that no log has.
type BeyondLeaf struct {
	Leaf
	Epoch int64
}

// LeavesBeyond lists leaves behind the end of the last log, up to a number.
func (c *Conn) LeavesBeyond(ctx context.Context, epoch, size, most int64) ([]BeyondLeaf, error) {
	rows, err := c.queries.ListLeavesBeyond(ctx, c.db, dbgen.ListLeavesBeyondParams{Epoch: epoch, Size: size, Most: most})
	leaves := make([]BeyondLeaf, len(rows))
	for i, row := range rows {
		leaves[i] = BeyondLeaf{Epoch: row.Epoch, Leaf: Leaf{Kind: seal.Kind(row.Kind), ID: row.RowID.Bytes, Index: row.LeafIndex}}
	}
	return leaves, c.readFailure(ctx, err)
}

// SealedRecords reads the records of leaves from first to before-1, in the order of the log.
func (c *Conn) SealedRecords(ctx context.Context, epoch, first, before int64, each func(index int64, values [][]byte) error) error {
	return c.stream(ctx, seal.Record, dbgen.ListSealedRecords, func(values [][]byte) error {
		return each(int64(binary.BigEndian.Uint64(values[0])), values[1:])
	}, epoch, first, before)
}
