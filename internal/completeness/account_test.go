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

type source struct {
	*completeness.Account
	given int64
}

func newSource(block int64) *source {
	s := &source{}
	s.Account = completeness.NewAccount(uuid.New(), "here", block, func() int64 { return s.given })
	return s
}

// state makes a statement that must not be split.
func (s *source) state(t *testing.T, kind completeness.Kind) completeness.Statement {
	t.Helper()
	parts := s.State(kind, nil)
	if len(parts) != 1 {
		t.Fatalf("%d parts, want one", len(parts))
	}
	return parts[0]
}

func TestAccountStatesWhatIsNew(t *testing.T) {
	t.Parallel()
	s := newSource(10)
	opened := s.state(t, completeness.Opened)
	if opened.Number != 1 || opened.AcceptedThrough != 0 || opened.ReservedThrough != 10 || s.Changed() {
		t.Errorf("opened: %+v, changed %t", opened, s.Changed())
	}
	s.given = 6
	if !s.RunsShort() || !s.Changed() {
		t.Error("half of the block is used, and no one says so")
	}
	s.Decide(1, completeness.Present)
	s.Decide(2, completeness.Dropped)
	s.Decide(2, completeness.Rejected) // decided already
	s.Decide(3, completeness.Rejected)
	s.Decide(4, completeness.AlreadyPersisted)
	want := completeness.Statement{
		SourceID: s.Source(), Number: 2, Kind: completeness.Periodic, AcceptedThrough: 6, ReservedThrough: 16, Label: "here",
		Dropped: completeness.SetOf(2), Rejected: completeness.SetOf(3), AlreadyPersisted: completeness.SetOf(4), Waiting: completeness.SetOf(5, 6),
	}
	if diff := cmp.Diff(want, s.state(t, completeness.Periodic)); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	s.Decide(5, completeness.Present)
	want = completeness.Statement{
		SourceID: s.Source(), Number: 3, Kind: completeness.Closed, AcceptedThrough: 6, ReservedThrough: 6, Label: "here",
	}
	if diff := cmp.Diff(want, s.state(t, completeness.Closed)); diff != "" {
		t.Errorf("closed (-want +got):\n%s", diff)
	}
}

// A statement that is made while a record is dropped speaks of the drop, or not of the record.
func TestDropIsOneStep(t *testing.T) {
	t.Parallel()
	s := newSource(10)
	made := make(chan completeness.Statement)
	s.Drop(func() int64 {
		s.given++
		go func() { made <- s.State(completeness.Closed, nil)[0] }()
		select {
		case closed := <-made:
			t.Errorf("%+v was made between the ordinal and its fate", closed)
		case <-time.After(50 * time.Millisecond):
		}
		return s.given
	})
	if closed := <-made; closed.AcceptedThrough != 1 || !closed.Dropped.Has(1) {
		t.Errorf("%+v, want the first ordinal dropped", closed)
	}
}

// At the end only what the spool holds waits. What else is undecided is lost.
func TestAccountClosesWithWhatIsKept(t *testing.T) {
	t.Parallel()
	s := newSource(10)
	s.given = 5
	s.Decide(1, completeness.Present)
	closed := s.State(completeness.Closed, completeness.SetOf(1, 3, 4))[0]
	if diff := cmp.Diff(completeness.SetOf(3, 4), closed.Waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
}

// A record that is rejected may be sent again by the next run, as long as its line is there.
func TestSpooledOrdinalMayStillCome(t *testing.T) {
	t.Parallel()
	s := newSource(10)
	s.given = 3
	s.Decide(1, completeness.Rejected)
	s.Decide(2, completeness.Rejected)
	s.Decide(3, completeness.Present)
	if !s.HasNews() {
		t.Error("two ordinals will never come, which is news")
	}
	first := s.State(completeness.Periodic, completeness.SetOf(2, 3))
	if diff := cmp.Diff([]completeness.Set{completeness.SetOf(1, 2), completeness.SetOf(2)}, []completeness.Set{first[0].Rejected, first[0].Waiting}); diff != "" || s.HasNews() {
		t.Errorf("while the line is there (-want +got):\n%s", diff)
	}
	account := completeness.Judge(s.Source(), first, rowsOf(1, 2, 3))
	if diff := cmp.Diff([]audit.Finding{{Kind: audit.UnexpectedRow, First: 1, Last: 1}}, account.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// A record that was dropped after an attempt without an answer may be stored.
func TestOrdinalInDoubtContradictsNoRow(t *testing.T) {
	t.Parallel()
	for inDoubt, certain := range map[completeness.Fate]completeness.Fate{
		completeness.DroppedInDoubt: completeness.Dropped, completeness.RejectedInDoubt: completeness.Rejected,
	} {
		s := newSource(10)
		s.given = 3
		s.Decide(1, inDoubt)
		s.Decide(2, inDoubt)
		s.Decide(3, certain)
		closed := s.State(completeness.Closed, nil)
		account := completeness.Judge(s.Source(), closed, rowsOf(1))
		if account.Explained.Total() != 2 || account.Waiting != 0 || len(account.Unexplained)+len(account.Findings) > 0 {
			t.Errorf("%+v, want two explained, and nothing against the row", account)
		}
		account = completeness.Judge(s.Source(), closed, rowsOf(3))
		if len(account.Findings) != 1 || account.Findings[0].Kind != audit.UnexpectedRow {
			t.Errorf("%+v, want that the row of the third is unexpected", account)
		}
	}
}

func TestAccountSplitsLongStatements(t *testing.T) {
	t.Parallel()
	s := newSource(10)
	s.given = 8 * completeness.MaxRanges
	for i := int64(1); i <= s.given; i += 4 { // each second range waits, each other one is dropped
		s.Decide(i, completeness.Dropped)
		s.Decide(i+2, completeness.Present)
	}
	var spooled completeness.Set
	for i := int64(2); i <= s.given; i += 2 {
		spooled.Add(i, i)
	}
	parts := s.State(completeness.Closed, spooled)
	var dropped, waiting completeness.Set
	for i, part := range parts {
		text := part.Dropped.String() + part.Rejected.String() + part.AlreadyPersisted.String() + part.Waiting.String()
		last := i == len(parts)-1
		if len(text) > 64<<10 || part.Number != int64(i+1) || part.WaitingContinues == last || (part.Kind == completeness.Closed) != last {
			t.Errorf("part %d: number %d, kind %s, continues %t, %d bytes", i, part.Number, part.Kind, part.WaitingContinues, len(text))
		}
		dropped.AddAll(part.Dropped)
		waiting.AddAll(part.Waiting)
	}
	if dropped.Count() != s.given/4 || waiting.Count() != s.given/2 {
		t.Errorf("%d dropped and %d waiting of %d", dropped.Count(), waiting.Count(), s.given)
	}
	if next := s.State(completeness.Periodic, nil)[0]; next.Number != int64(len(parts)+1) {
		t.Errorf("the next number is %d after %d parts", next.Number, len(parts))
	}
}

// A line with the largest ordinal was forged. The database takes the statements of its source.
func TestLargestOrdinalIsNotStated(t *testing.T) {
	t.Parallel()
	account := completeness.CarryOn(uuid.New(), "heir", completeness.SetOf(3, math.MaxInt64))
	account.Decide(math.MaxInt64, completeness.Rejected)
	s := account.State(completeness.Periodic, nil)[0]
	if s.AcceptedThrough != 3 || s.Waiting.Max() != 3 || s.Rejected != nil {
		t.Errorf("%+v, want the ordinal 3 alone", s)
	}
}

func TestCarriedAccountCountsWhatWasLeft(t *testing.T) {
	t.Parallel()
	left := completeness.SetOf(3, 9)
	account := completeness.CarryOn(uuid.New(), "heir", left)
	account.Continue(completeness.Statement{Number: 4, AcceptedThrough: 5, ReservedThrough: 8})
	account.Decide(3, completeness.Rejected)
	account.Decide(7, completeness.Rejected) // never known to be waiting, and decided for all that
	s := account.State(completeness.Periodic, nil)[0]
	want := completeness.Statement{
		SourceID: account.Source(), Number: 5, Kind: completeness.Periodic, AcceptedThrough: 9, ReservedThrough: 9, Label: "heir",
		Rejected: completeness.SetOf(3), Waiting: completeness.SetOf(9),
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("statement (-want +got):\n%s", diff)
	}
	if account.Changed() {
		t.Error("nothing changed since the statement")
	}
}
