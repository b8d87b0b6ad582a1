package auditdriver

import (
	"context"
	"errors"
	"reflect"
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
	values  [][]byte // of all rows, one row after the other
	kept    []byte   // what the next values are copied behind
	count   int      // of rows
	place   int      // of the current row, from 1
	plans   []scanPlan
	err     error
	lenient bool // leaves at zero what cannot be scanned
}

// scanPlan scans one column into one type of destination. Finding a plan takes longer than
// scanning, and a batch has a thousand rows of the same columns.
type scanPlan struct {
	plan pgtype.ScanPlan
	into reflect.Type
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
		a.keep(rows.RawValues())
	}
	rows.Close()
	a.tag = rows.CommandTag()
	return a, rows.Err()
}

// keepBytes is how much memory for values is taken at a time.
const keepBytes = 4096

// keep copies a row, whose bytes belong to the connection.
func (a *answer) keep(row [][]byte) {
	a.count++
	for _, value := range row {
		if value == nil {
			a.values = append(a.values, nil)
			continue
		}
		if len(value) > cap(a.kept)-len(a.kept) {
			a.kept = make([]byte, 0, max(keepBytes, len(value)))
		}
		first := len(a.kept)
		a.kept = append(a.kept, value...)
		a.values = append(a.values, a.kept[first:len(a.kept):len(a.kept)])
	}
}

// Close implements pgx.Rows.
func (a *answer) Close() { a.place = a.count + 1 }

// Err implements pgx.Rows.
func (a *answer) Err() error { return a.err }

// CommandTag implements pgx.Rows.
func (a *answer) CommandTag() pgconn.CommandTag { return a.tag }

// FieldDescriptions implements pgx.Rows.
func (a *answer) FieldDescriptions() []pgconn.FieldDescription { return a.fields }

// Next implements pgx.Rows.
func (a *answer) Next() bool {
	a.place = min(a.place, a.count) + 1
	return a.place <= a.count
}

// Scan implements pgx.Rows.
func (a *answer) Scan(dest ...any) error {
	values := a.RawValues()
	if len(dest) != len(values) {
		a.err = errColumns
		return a.err
	}
	for i := range dest {
		err := a.plan(i, dest[i]).Scan(values[i], dest[i])
		if err != nil && !a.lenient {
			a.err = pgx.ScanArgError{ColumnIndex: i, FieldName: a.fields[i].Name, Err: err}
			return a.err
		}
	}
	return nil
}

// plan returns how to scan a column.
func (a *answer) plan(column int, dest any) pgtype.ScanPlan {
	if a.plans == nil {
		a.plans = make([]scanPlan, len(a.fields))
	}
	known, into := &a.plans[column], reflect.TypeOf(dest)
	if known.into != into {
		field := a.fields[column]
		*known = scanPlan{plan: a.types.PlanScan(field.DataTypeOID, field.Format, dest), into: into}
	}
	return known.plan
}

// Values implements pgx.Rows. Generated code does not call it.
func (a *answer) Values() ([]any, error) { return nil, errors.ErrUnsupported }

// RawValues implements pgx.Rows.
func (a *answer) RawValues() [][]byte {
	width := len(a.fields)
	return a.values[(a.place-1)*width : a.place*width]
}

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
