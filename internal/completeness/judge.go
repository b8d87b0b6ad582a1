package completeness

import (
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Rows are the ordinals that the rows of one source carry.
type Rows struct {
	Present  Set
	Repeated Set // carried by several rows
	Expired  Set // carried by rows that have left for an archive, on record
}

// Judge accounts for one source. Its statements are in the order of their numbers.
func Judge(source uuid.UUID, statements []Statement, rows Rows) audit.SourceAccount {
	account := audit.SourceAccount{SourceID: source, Present: rows.Present.Count()}
	account.Findings = appendFindings(nil, audit.RepeatedOrdinal, rows.Repeated)
	if len(statements) == 0 {
		if account.Present > 0 {
			account.Findings = append(account.Findings, audit.Finding{Kind: audit.NoStatements})
		}
		return account
	}
	t := readTestimony(statements)
	t.describe(&account)
	if account.Imported {
		return account
	}

	never := t.never()
	account.Explained = audit.Explained{
		Dropped:          t.dropped.Minus(rows.Present).Count(),
		Rejected:         t.rejected.Minus(rows.Present, t.dropped).Count(),
		AlreadyPersisted: t.alreadyPersisted.Minus(rows.Present, t.dropped, t.rejected).Count(),
		Expired:          rows.Expired.Minus(rows.Present, never).Count(),
	}
	waiting := t.waiting.Minus(rows.Present, never, rows.Expired)
	account.Waiting = waiting.Count()
	missing := Span(1, t.through).Minus(rows.Present, never, waiting, rows.Expired)
	account.Unexplained = t.dated(missing)
	if !account.Closed {
		account.LastBlock = Span(t.through+1, t.reserved).Minus(rows.Present, never, waiting, rows.Expired).Count()
	}
	beyond := Set(nil)
	if highest := rows.Present.Max(); highest > t.reserved {
		beyond = rows.Present.Minus(Span(1, t.reserved))
	}
	account.Findings = appendFindings(account.Findings, audit.UnexpectedRow, rows.Present.And(never.Minus(t.doubtful)))
	account.Findings = appendFindings(account.Findings, audit.UnreservedRow, beyond)
	account.Findings = appendFindings(account.Findings, audit.MissingStatement, t.missing)
	return account
}

func appendFindings(findings []audit.Finding, kind audit.FindingKind, set Set) []audit.Finding {
	for _, r := range set {
		findings = append(findings, audit.Finding{Kind: kind, First: r.First, Last: r.Last})
	}
	return findings
}

// testimony is what all statements of a source say together.
type testimony struct {
	statements                          []Statement
	through, reserved                   int64
	dropped, rejected, alreadyPersisted Set
	waiting                             Set
	doubtful                            Set // will not come, and perhaps came
	missing                             Set // numbers of statements
	closed, imported                    bool
}

func readTestimony(statements []Statement) *testimony {
	t := &testimony{statements: statements}
	var numbers, waiting, never Set
	imported, unfinished := 0, false
	for i := range statements {
		s := &statements[i]
		numbers.Add(s.Number, s.Number)
		t.reserved = max(t.reserved, s.ReservedThrough)
		t.dropped.AddAll(s.Dropped)
		t.rejected.AddAll(s.Rejected)
		t.alreadyPersisted.AddAll(s.AlreadyPersisted)
		t.closed = t.closed || s.Kind == Closed
		if s.Kind == Imported {
			imported++
		}
		if i == 0 || !s.continues(&statements[i-1]) {
			if unfinished {
				t.doubtful.AddAll(never)
			}
			waiting, never = nil, nil
		}
		waiting.AddAll(s.Waiting)
		for _, fate := range []Set{s.Dropped, s.Rejected, s.AlreadyPersisted} {
			never.AddAll(fate)
		}
		t.doubtful.AddAll(never.And(waiting))
		// Before its last part is stored, a statement tells neither all that it says of its
		// ordinals nor which of them are in doubt.
		if unfinished = s.WaitingContinues; !unfinished {
			t.through, t.waiting = max(t.through, s.AcceptedThrough), waiting
		}
	}
	if unfinished {
		t.doubtful.AddAll(never)
	}
	t.imported = imported == len(statements)
	if t.closed { // it knows its last ordinal
		t.reserved = t.through
	}
	t.missing = Span(1, numbers.Max()).Minus(numbers)
	return t
}

func (t *testimony) never() Set {
	var never Set
	never.AddAll(t.dropped)
	never.AddAll(t.rejected)
	never.AddAll(t.alreadyPersisted)
	return never
}

func (t *testimony) describe(account *audit.SourceAccount) {
	last := len(t.statements) - 1
	account.Label = t.statements[0].Label
	account.OpenedAt, account.LastStatementAt = t.statements[0].MadeAt, t.statements[last].MadeAt
	account.Closed, account.Imported = t.closed, t.imported
	account.AcceptedThrough, account.ReservedThrough = t.through, t.reserved
}

// dated returns the ranges of a set, each cut where statements tell another time.
func (t *testimony) dated(set Set) (ranges []audit.OrdinalRange) {
	for _, r := range set {
		for first, last := r.First, int64(0); last < r.Last; first = last + 1 {
			after, before, until := t.times(first)
			last = min(until, r.Last)
			ranges = append(ranges, audit.OrdinalRange{First: first, Last: last, After: after, Before: before})
		}
	}
	return ranges
}

// times returns the times of the statements between which an ordinal was given, and the last
// ordinal with the same times.
func (t *testimony) times(ordinal int64) (after, before time.Time, last int64) {
	for i := range t.statements {
		s := &t.statements[i]
		if s.AcceptedThrough >= ordinal {
			return after, s.MadeAt, s.AcceptedThrough
		}
		after = s.MadeAt
	}
	return after, time.Time{}, t.through
}
