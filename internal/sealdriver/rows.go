package sealdriver

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Rows reads the rows of a kind with a seq from first to last, in that order. Values are in
// the order of the leaf's columns and valid during the call.
func (c *Conn) Rows(ctx context.Context, kind seal.Kind, first, last int64, each func(values [][]byte) error) error {
	return c.stream(ctx, kind, rowsOf(kind), each, first, last)
}

// LateRows is Rows for the records of a set of seqs.
func (c *Conn) LateRows(ctx context.Context, seqs completeness.Set, each func(values [][]byte) error) error {
	distributed, err := c.Distributed(ctx)
	if err != nil {
		return err
	}
	if !distributed {
		return c.stream(ctx, seal.Record, dbgen.ListRecordsInRanges, each, seqs.String())
	}
	// A cluster does not look up each range of one query by itself.
	if n := seqs.Count(); n <= mostSeqs {
		list := make([]int64, 0, n)
		for _, r := range seqs {
			for seq := r.First; seq <= r.Last; seq++ {
				list = append(list, seq)
			}
		}
		return c.stream(ctx, seal.Record, dbgen.ListRecordsOfSeqs, each, list)
	}
	for _, r := range seqs {
		if err := c.stream(ctx, seal.Record, dbgen.ListRecordsToSeal, each, r.First, r.Last); err != nil {
			return err
		}
	}
	return nil
}

// mostSeqs bounds the seqs that one query of a cluster lists.
const mostSeqs = 65_536

func rowsOf(kind seal.Kind) string {
	switch kind {
	case seal.Gap:
		return dbgen.ListGapsToSeal
	case seal.Statement:
		return dbgen.ListStatementsToSeal
	case seal.Event:
		return dbgen.ListEventsToSeal
	case seal.Record:
	}
	return dbgen.ListRecordsToSeal
}

// stream bypasses the generated code, which would decode each value and take NULL and the
// empty text for one.
func (c *Conn) stream(ctx context.Context, kind seal.Kind, sql string, each func(values [][]byte) error, args ...any) error {
	return c.streamIn(ctx, pgx.QueryExecModeDescribeExec, kind, sql, each, args...)
}

func (c *Conn) streamIn(ctx context.Context, mode pgx.QueryExecMode, kind seal.Kind, sql string, each func(values [][]byte) error, args ...any) error {
	options := []any{mode, pgx.QueryResultFormats{pgx.BinaryFormatCode}}
	rows, err := c.conn.Query(ctx, c.place.SQL(sql), append(options, args...)...)
	if err != nil {
		return c.readFailure(ctx, err)
	}
	defer rows.Close()
	for checked := false; rows.Next(); checked = true {
		if !checked {
			if err := checkTypes(kind, rows.FieldDescriptions()); err != nil {
				return err
			}
		}
		if err := each(rows.RawValues()); err != nil {
			return err
		}
	}
	return c.readFailure(ctx, rows.Err())
}

// NextRecord returns the lowest seq of a record after one, up to a limit; 0 if there is none.
func (c *Conn) NextRecord(ctx context.Context, after, through int64) (int64, error) {
	seq, err := c.queries.NextRecordSeq(ctx, c.db, dbgen.NextRecordSeqParams{After: after, Through: through})
	return seq, c.readFailure(ctx, err)
}

// Record returns the values of the record of an id, in the order of the leaf's columns. The
// error matches [audit.ErrNotFound].
func (c *Conn) Record(ctx context.Context, id uuid.UUID) (copied [][]byte, err error) {
	mode := c.conn.Config().DefaultQueryExecMode
	if mode != pgx.QueryExecModeCacheStatement { // the others but this one return texts
		mode = pgx.QueryExecModeDescribeExec
	}
	err = c.streamIn(ctx, mode, seal.Record, dbgen.GetRecordToProve, func(values [][]byte) error {
		copied = Copied(values)
		return nil
	}, id.String())
	if err == nil && copied == nil {
		err = audit.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("looking for record %s: %w", id, err)
	}
	return copied, nil
}

// Copied keeps values beyond the call that they are valid in, in one piece of memory. NULL
// stays nil, and the empty text is not nil.
func Copied(values [][]byte) [][]byte {
	size := 0
	for _, value := range values {
		size += len(value)
	}
	copied, memory := make([][]byte, len(values)), make([]byte, 0, size)
	for i, value := range values {
		if value == nil {
			continue
		}
		from := len(memory)
		memory = append(memory, value...)
		copied[i] = memory[from:len(memory):len(memory)]
	}
	return copied
}
