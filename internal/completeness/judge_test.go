package completeness_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

func minute(n int) time.Time { return time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC) }

// told are three statements: opened at 0, a second one at minute 1, and one at minute 2.
func told(last completeness.Statement) []completeness.Statement {
	last.Number, last.MadeAt = 3, minute(2)
	return []completeness.Statement{
		{Number: 1, Kind: completeness.Opened, ReservedThrough: 20, Label: "a", MadeAt: minute(0)},
		{
			Number: 2, Kind: completeness.Periodic, AcceptedThrough: 10, ReservedThrough: 20, MadeAt: minute(1),
			Dropped: completeness.SetOf(2), Waiting: completeness.SetOf(9, 10),
		},
		last,
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	periodic := completeness.Statement{
		Kind: completeness.Periodic, AcceptedThrough: 15, ReservedThrough: 20,
		Rejected: completeness.SetOf(4), AlreadyPersisted: completeness.SetOf(5), Waiting: completeness.SetOf(14, 15),
	}
	closed := periodic
	closed.Kind, closed.ReservedThrough = completeness.Closed, 15
	expired := rowsOf(1, 3, 6, 7, 11, 12, 13)
	expired.Expired = completeness.SetOf(1, 8, 9, 10, 15)
	base := audit.SourceAccount{
		Label: "a", OpenedAt: minute(0), LastStatementAt: minute(2), AcceptedThrough: 15, ReservedThrough: 20,
		Explained: audit.Explained{Dropped: 1, Rejected: 1, AlreadyPersisted: 1},
	}
	tests := map[string]struct {
		statements []completeness.Statement
		rows       completeness.Rows
		want       func(*audit.SourceAccount)
	}{
		"nothing is missing": {told(periodic), rowsOf(1, 3, 6, 7, 8, 9, 10, 11, 12, 13), func(a *audit.SourceAccount) {
			a.Present, a.Waiting, a.LastBlock = 10, 2, 5
		}},
		"a closed source knows its last ordinal": {told(closed), rowsOf(1, 3, 6, 7, 8, 9, 10, 11, 12, 13, 15), func(a *audit.SourceAccount) {
			a.Present, a.Waiting, a.Closed, a.ReservedThrough = 11, 1, true, 15
		}},
		"expired rows are explained, and one that is there again is present": {told(closed), expired, func(a *audit.SourceAccount) {
			a.Present, a.Closed, a.ReservedThrough, a.Explained.Expired, a.Waiting = 7, true, 15, 4, 1
		}},
		"missing rows are dated": {told(closed), rowsOf(1, 3, 6, 7, 10, 13, 14, 15), func(a *audit.SourceAccount) {
			a.Present, a.Closed, a.ReservedThrough = 8, true, 15
			a.Unexplained = []audit.OrdinalRange{
				{First: 8, Last: 9, After: minute(0), Before: minute(1)},
				{First: 11, Last: 12, After: minute(1), Before: minute(2)},
			}
		}},
		"a row of the last block is present": {told(periodic), rowsOf(1, 3, 6, 7, 8, 9, 10, 11, 12, 13, 18), func(a *audit.SourceAccount) {
			a.Present, a.Waiting, a.LastBlock = 11, 2, 4
		}},
		"rows contradict statements": {
			told(periodic),
			completeness.Rows{Present: rowsOf(1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 21).Present, Repeated: completeness.SetOf(7)},
			func(a *audit.SourceAccount) {
				a.Present, a.LastBlock = 15, 5
				a.Explained = audit.Explained{AlreadyPersisted: 1}
				a.Findings = []audit.Finding{
					{Kind: audit.RepeatedOrdinal, First: 7, Last: 7},
					{Kind: audit.UnexpectedRow, First: 2, Last: 2},
					{Kind: audit.UnexpectedRow, First: 4, Last: 4},
					{Kind: audit.UnreservedRow, First: 21, Last: 21},
				}
			},
		},
		"a statement is missing": {append(told(periodic)[:1], told(periodic)[2]), rowsOf(1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13), func(a *audit.SourceAccount) {
			a.Present, a.Waiting, a.LastBlock = 11, 2, 5
			a.Explained = audit.Explained{Rejected: 1, AlreadyPersisted: 1}
			a.Findings = []audit.Finding{{Kind: audit.MissingStatement, First: 2, Last: 2}}
		}},
		"no statement at all": {nil, rowsOf(1), func(a *audit.SourceAccount) {
			*a = audit.SourceAccount{Present: 1, Findings: []audit.Finding{{Kind: audit.NoStatements}}}
		}},
		"a file's source is accounted for elsewhere": {
			[]completeness.Statement{{Number: 1, Kind: completeness.Imported, AcceptedThrough: 5, ReservedThrough: 5, Label: "a", MadeAt: minute(0)}},
			rowsOf(5),
			func(a *audit.SourceAccount) {
				*a = audit.SourceAccount{Label: "a", OpenedAt: minute(0), LastStatementAt: minute(0), Imported: true, AcceptedThrough: 5, ReservedThrough: 5, Present: 1}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := base
			test.want(&want)
			want.SourceID = uuid.New()
			if diff := cmp.Diff(want, completeness.Judge(want.SourceID, test.statements, test.rows)); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
		})
	}
}

func rowsOf(ordinals ...int64) completeness.Rows {
	return completeness.Rows{Present: completeness.SetOf(ordinals...)}
}

// What an earlier statement calls waiting counts no more once a later one does not.
func TestJudgeTakesTheLastWordOnWaiting(t *testing.T) {
	t.Parallel()
	statements := []completeness.Statement{
		{Number: 1, Kind: completeness.Periodic, AcceptedThrough: 5, ReservedThrough: 5, Waiting: completeness.Span(1, 3), WaitingContinues: true},
		{Number: 2, Kind: completeness.Periodic, AcceptedThrough: 5, ReservedThrough: 5, Waiting: completeness.SetOf(5)},
	}
	account := completeness.Judge(uuid.New(), statements, rowsOf(4))
	if account.Waiting != 4 || len(account.Unexplained) != 0 {
		t.Errorf("%+v, want four waiting: the second statement continues the first", account)
	}
	cut := append(statements[:1:1], completeness.Statement{Number: 2, Kind: completeness.Periodic, AcceptedThrough: 5, ReservedThrough: 5, Label: "heir"})
	if account := completeness.Judge(uuid.New(), cut, rowsOf(4)); account.Waiting != 0 {
		t.Errorf("%+v, want none waiting: the second statement is of another process", account)
	}
	statements = append(statements, completeness.Statement{Number: 3, Kind: completeness.Closed, AcceptedThrough: 5, ReservedThrough: 5, Waiting: completeness.SetOf(2)})
	account = completeness.Judge(uuid.New(), statements, rowsOf(4))
	if account.Waiting != 1 || len(account.Unexplained) != 3 {
		t.Errorf("%+v, want one waiting and three ranges unexplained", account)
	}
}

// A long statement is stored part by part. Until the last part is there, the statement before
// it counts, and its ordinals are in the last block.
func TestJudgeWaitsForAllParts(t *testing.T) {
	t.Parallel()
	first := completeness.Statement{Number: 1, Kind: completeness.Periodic, AcceptedThrough: 2, ReservedThrough: 20, Waiting: completeness.SetOf(2)}
	long := completeness.Statement{Number: 2, Kind: completeness.Periodic, AcceptedThrough: 9, ReservedThrough: 20, Dropped: completeness.SetOf(3, 4), WaitingContinues: true}
	rest := completeness.Statement{Number: 3, Kind: completeness.Closed, AcceptedThrough: 9, ReservedThrough: 20, Dropped: completeness.SetOf(6), Waiting: completeness.SetOf(3, 8)}
	rows := rowsOf(1, 3, 5, 7, 9)
	account := completeness.Judge(uuid.New(), []completeness.Statement{first, long}, rows)
	if account.AcceptedThrough != 2 || account.Waiting != 1 || account.LastBlock != 13 || len(account.Unexplained)+len(account.Findings) > 0 {
		t.Errorf("%+v, want the first statement's account", account)
	}
	account = completeness.Judge(uuid.New(), []completeness.Statement{first, long, rest}, rows)
	want := []audit.OrdinalRange{{First: 2, Last: 2}}
	if account.AcceptedThrough != 9 || account.Waiting != 1 || account.Explained.Dropped != 2 || !cmp.Equal(want, account.Unexplained) || account.Findings != nil {
		t.Errorf("%+v, want two dropped, one waiting and %v unexplained", account, want)
	}
}

// A database accepts the largest ordinal, in a row and in a statement.
func TestJudgeLargestOrdinal(t *testing.T) {
	t.Parallel()
	const largest = math.MaxInt64
	present := completeness.SetOf(largest)
	present.Add(1, 1)
	statement := completeness.Statement{Number: 1, Kind: completeness.Closed, AcceptedThrough: largest, ReservedThrough: largest}
	got := completeness.Judge(uuid.Nil, []completeness.Statement{statement}, completeness.Rows{Present: present})
	if want := []audit.OrdinalRange{{First: 2, Last: largest - 1}}; !cmp.Equal(want, got.Unexplained) || got.Findings != nil || got.Present != 2 {
		t.Errorf("%+v, want %v unexplained", got, want)
	}
	got = completeness.Judge(uuid.Nil, []completeness.Statement{statement}, completeness.Rows{})
	if want := []audit.OrdinalRange{{First: 1, Last: largest}}; !cmp.Equal(want, got.Unexplained) {
		t.Errorf("%+v, want %v unexplained", got, want)
	}
	statement.AcceptedThrough, statement.ReservedThrough = 1, 1
	got = completeness.Judge(uuid.Nil, []completeness.Statement{statement}, completeness.Rows{Present: present})
	if want := []audit.Finding{{Kind: audit.UnreservedRow, First: largest, Last: largest}}; !cmp.Equal(want, got.Findings) || got.Unexplained != nil {
		t.Errorf("%+v, want %v", got, want)
	}
}
