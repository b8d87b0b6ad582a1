package sealdriver

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Reached compares the rows of a table with those that are found by their seq.
type Reached struct {
	Table  string
	Rows   int64 // that the table has
	BySeq  int64 // those that are found by their seq
	Differ bool
	NoSeq  []uuid.UUID // rows without a seq, if they differ
}

// Each statement of a verification looks for rows by their seq. A row that has none, or that is
// not in the index, would never be looked at. Every other reader may find it. So the table is
// read once in its own order, and the places of its rows must be those that the index leads to.
const (
	sumOfPlaces = "SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(pg_catalog.hashtidextended(place, part::pg_catalog.int8)), 0)::pg_catalog.text FROM "
	countAll    = sumOfPlaces + "(SELECT ctid AS place, tableoid AS part FROM %[1]s) AS found"
	countBySeq  = sumOfPlaces + "(SELECT ctid AS place, tableoid AS part FROM %[1]s WHERE seq >= $1::pg_catalog.int8 AND seq <= $2::pg_catalog.int8 ORDER BY seq, %[2]s OFFSET 0) AS found"
	listNoSeq   = "SELECT %[2]s FROM %[1]s WHERE seq IS NULL LIMIT $1::pg_catalog.int8"

	inOwnOrder = "SET LOCAL enable_seqscan TO on; SET LOCAL enable_indexscan TO off; SET LOCAL enable_bitmapscan TO off"
)

// Reached reads all rows of a kind twice, in one snapshot. It looks them up by seq in ranges that end
// with the given seqs, as a verification does: another range may lead the planner to another index. It
// lists most rows without a seq.
func (c *Conn) Reached(ctx context.Context, kind seal.Kind, ends []int64, most int64) (r Reached, err error) {
	r.Table = tableOf(kind)
	tx, err := c.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return r, c.readFailure(ctx, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it only read
	of := reader{db: c.place.On(unnamed{tx}), table: r.Table, id: seal.Columns(kind, seal.LeafVersion)[1].Name}
	if err := of.reach(ctx, tx, ends, most, &r); err != nil {
		return r, c.readFailure(ctx, err)
	}
	return r, nil
}

// reader reads a table in one snapshot.
type reader struct {
	db        dbgen.DBTX
	table, id string
}

func (of reader) reach(ctx context.Context, tx pgx.Tx, ends []int64, most int64, r *Reached) error {
	bySeq, all := new(big.Int), new(big.Int)
	first := int64(math.MinInt64)
	for _, last := range append(slices.Clone(ends), math.MaxInt64) {
		if last < first {
			continue
		}
		if err := of.add(ctx, countBySeq, &r.BySeq, bySeq, first, last); err != nil {
			return err
		}
		if last < math.MaxInt64 {
			first = last + 1
		}
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, inOwnOrder).ReadAll(); err != nil {
		return err
	}
	if err := of.add(ctx, countAll, &r.Rows, all); err != nil {
		return err
	}
	if r.Differ = r.Rows != r.BySeq || all.Cmp(bySeq) != 0; !r.Differ {
		return nil
	}
	rows, err := of.db.Query(ctx, of.sql(listNoSeq), most)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
	for _, id := range found {
		r.NoSeq = append(r.NoSeq, id.Bytes)
	}
	return err
}

func (of reader) sql(text string) string { return fmt.Sprintf(text, of.table, of.id) }

// add counts rows, and adds up their places.
func (of reader) add(ctx context.Context, sql string, count *int64, places *big.Int, args ...any) error {
	var n int64
	var digits string
	if err := of.db.QueryRow(ctx, of.sql(sql), args...).Scan(&n, &digits); err != nil {
		return err
	}
	sum, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return fmt.Errorf("adding up the places of rows: %q is no number", digits)
	}
	*count += n
	places.Add(places, sum)
	return nil
}

func tableOf(kind seal.Kind) string {
	switch kind {
	case seal.Gap:
		return "coordination_audit_gaps"
	case seal.Statement:
		return "coordination_audit_statements"
	case seal.Event:
		return "coordination_audit_seal_events"
	case seal.Record:
	}
	return "coordination_audit_records"
}
