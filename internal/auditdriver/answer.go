package auditdriver

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// answer is the whole answer to a statement, read before any of it is scanned. By then it
// is known what the server has done, and a value that cannot be scanned changes nothing
// about that.
type answer struct {
	fields  []pgconn.FieldDescription
	types   *pgtype.Map
	tag     pgconn.CommandTag
	rows    [][][]byte
	place   int // of the current row, from 1
	err     error
	lenient bool // leaves at zero what cannot be scanned
}

var _ pgx.Rows = (*answer)(nil)

// wholeAnswer reads a statement's rows to their end. Its error is the server's or the
// connection's.
func wholeAnswer(rows pgx.Rows) (*answer, error) {
	a := &answer{types: rows.TypeMap()}
	for rows.Next() {
		if a.fields == nil {
			a.fields = slices.Clone(rows.FieldDescriptions())
		}
		a.rows = append(a.rows, cloneRow(rows.RawValues()))
	}
	rows.Close()
	a.tag = rows.CommandTag()
	return a, rows.Err()
}

func cloneRow(values [][]byte) [][]byte {
	size := 0
	for _, value := range values {
		size += len(value)
	}
	row, kept := make([][]byte, len(values)), make([]byte, 0, size)
	for i, value := range values {
		if value != nil {
			kept = append(kept, value...)
			row[i] = kept[len(kept)-len(value) : len(kept) : len(kept)]
		}
	}
	return row
}

// Close implements pgx.Rows.
func (a *answer) Close() { a.place = len(a.rows) + 1 }

// Err implements pgx.Rows.
func (a *answer) Err() error { return a.err }

// CommandTag implements pgx.Rows.
func (a *answer) CommandTag() pgconn.CommandTag { return a.tag }

// FieldDescriptions implements pgx.Rows.
func (a *answer) FieldDescriptions() []pgconn.FieldDescription { return a.fields }

// Next implements pgx.Rows.
func (a *answer) Next() bool {
	a.place = min(a.place, len(a.rows)) + 1
	return a.place <= len(a.rows)
}

// Scan implements pgx.Rows.
func (a *answer) Scan(dest ...any) error {
	values := a.RawValues()
	if len(dest) != len(values) {
		a.err = errColumns
		return a.err
	}
	for i := range dest {
		err := a.types.Scan(a.fields[i].DataTypeOID, a.fields[i].Format, values[i], dest[i])
		if err != nil && !a.lenient {
			a.err = pgx.ScanArgError{ColumnIndex: i, FieldName: a.fields[i].Name, Err: err}
			return a.err
		}
	}
	return nil
}

// Values implements pgx.Rows. Generated code does not call it.
func (a *answer) Values() ([]any, error) { return nil, errors.ErrUnsupported }

// RawValues implements pgx.Rows.
func (a *answer) RawValues() [][]byte { return a.rows[a.place-1] }

// Conn implements pgx.Rows.
func (a *answer) Conn() *pgx.Conn { return nil }

// TypeMap implements pgx.Rows.
func (a *answer) TypeMap() *pgtype.Map { return a.types }

var errColumns = errors.New("the answer has another number of columns")

// answerRow is the first row of an answer.
type answerRow struct {
	rows pgx.Rows
	err  error
}

// Scan implements pgx.Row.
func (r answerRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		return pgx.ErrNoRows
	}
	return r.rows.Scan(dest...)
}

// whole is a connection that reads each answer to its end before any of it is scanned. A
// commit that fails is the last part of the answer.
//
// A statement that was prepared and is out of date is sent a second time. The first time
// stored nothing, and pgx has dropped what it had prepared.
type whole struct {
	dbgen.DBTX
}

// Query implements dbgen.DBTX.
func (w whole) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	a, err := w.once(ctx, sql, args)
	if outdated(err) {
		a, err = w.once(ctx, sql, args)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (w whole) once(ctx context.Context, sql string, args []any) (*answer, error) {
	rows, err := w.DBTX.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return wholeAnswer(rows)
}

// QueryRow implements dbgen.DBTX.
func (w whole) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := w.Query(ctx, sql, args...)
	return answerRow{rows: rows, err: err}
}

// storing is for a statement that returns the rows that it stored. A value that cannot be
// scanned is left at zero, since the rows stay stored.
type storing struct {
	dbgen.DBTX
}

// Query implements dbgen.DBTX.
func (s storing) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := s.DBTX.Query(ctx, sql, args...)
	if a, ok := rows.(*answer); ok && a != nil {
		a.lenient = true
	}
	return rows, err
}

// QueryRow implements dbgen.DBTX.
func (s storing) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := s.Query(ctx, sql, args...)
	return answerRow{rows: rows, err: err}
}

// unreadable reports that the server answered with a row that cannot be scanned.
func unreadable(err error) bool {
	_, isScan := errors.AsType[pgx.ScanArgError](err)
	return isScan || errors.Is(err, errColumns)
}
