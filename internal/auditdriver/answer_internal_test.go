package auditdriver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// keptRows returns an answer as it is after the connection has gone on to other things.
func keptRows(rows ...[]any) *answer {
	a := &answer{
		types: pgtype.NewMap(),
		fields: []pgconn.FieldDescription{
			{Name: "reason", DataTypeOID: pgtype.TextOID, Format: pgtype.TextFormatCode},
			{Name: "seq", DataTypeOID: pgtype.Int8OID, Format: pgtype.TextFormatCode},
		},
	}
	memory := make([]byte, 64<<10) // the connection's, which it uses again
	for _, row := range rows {
		var raw [][]byte
		rest := memory
		for _, value := range row {
			text, ok := value.(string)
			if !ok {
				raw = append(raw, nil)
				continue
			}
			n := copy(rest, text)
			raw, rest = append(raw, rest[:n:n]), rest[n:]
		}
		a.keep(raw)
		clear(memory)
	}
	return a
}

// An answer outlives the connection's memory. NULL, an empty text and a long one stay what they are.
func TestAnswerIsKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3*keepBytes)
	a := keptRows([]any{"one", "1"}, []any{nil, "2"}, []any{"", "3"}, []any{long, "4"}, []any{strings.Repeat("y", keepBytes-1), "5"}, []any{"six", "6"})
	var reasons []string
	var seqs []int64
	for a.Next() {
		var reason *string
		var seq int64
		if err := a.Scan(&reason, &seq); err != nil {
			t.Fatal(err)
		}
		if reason == nil {
			none := "NULL"
			reason = &none
		}
		reasons, seqs = append(reasons, *reason), append(seqs, seq)
	}
	if want := []string{"one", "NULL", "", long, strings.Repeat("y", keepBytes-1), "six"}; !slices.Equal(reasons, want) || !slices.Equal(seqs, []int64{1, 2, 3, 4, 5, 6}) {
		t.Errorf("seqs %v, and reasons of %d rows", seqs, len(reasons))
	}
	for range 2 {
		if a.Next() || a.Err() != nil {
			t.Errorf("it goes on after its end, %v", a.Err())
		}
	}
	closed := keptRows([]any{"one", "1"}, []any{"two", "2"})
	if closed.Close(); closed.Next() {
		t.Error("it goes on after Close")
	}
}

// A value that fits no destination is an error with the column's name, except where the rows are
// stored already. Then the others are read nevertheless.
func TestUnreadableValueIsNamed(t *testing.T) {
	t.Parallel()
	a := keptRows([]any{"not a number", "7"})
	a.Next()
	var number, seq int64
	err := a.Scan(&number, &seq)
	if failed, ok := errors.AsType[pgx.ScanArgError](err); !ok || failed.FieldName != "reason" || failed.ColumnIndex != 0 || !unreadable(err) || !errors.Is(a.Err(), err) {
		t.Errorf("Scan() = %v, Err() = %v", err, a.Err())
	}
	a = keptRows([]any{"not a number", "7"})
	a.lenient = true
	a.Next()
	if err := a.Scan(&number, &seq); err != nil || number != 0 || seq != 7 || a.Err() != nil {
		t.Errorf("Scan() = %v, and %d and %d where the rows are stored", err, number, seq)
	}
	if err := a.Scan(&seq); !errors.Is(err, errColumns) || !errors.Is(a.Err(), errColumns) || !unreadable(err) {
		t.Errorf("Scan() = %v, Err() = %v for one column of two", err, a.Err())
	}
	if unreadable(pgx.ErrNoRows) {
		t.Error("no row is an unreadable one")
	}
}

// A row is the answer's first one, or there is none.
func TestAnswersFirstRow(t *testing.T) {
	t.Parallel()
	var reason string
	var seq int64
	if err := (answerRow{rows: keptRows([]any{"one", "1"}, []any{"two", "2"})}).Scan(&reason, &seq); err != nil || seq != 1 {
		t.Errorf("Scan() = %v, %d", err, seq)
	}
	if err := (answerRow{rows: keptRows()}).Scan(&reason, &seq); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("Scan() = %v, want ErrNoRows", err)
	}
	lost := errors.New("lost")
	if err := (answerRow{err: lost}).Scan(&reason, &seq); !errors.Is(err, lost) {
		t.Errorf("Scan() = %v, want the connection's error", err)
	}
}
