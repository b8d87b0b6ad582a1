package completeness

import (
	"math"
	"sync"

	"github.com/google/uuid"
)

// Fate is how an ordinal was decided.
type Fate int

// The fates of an ordinal.
const (
	Present          Fate = iota // a row carries it
	Dropped                      // the record was kept nowhere
	Rejected                     // the database refused it for its own sake
	AlreadyPersisted             // a row of another source or ordinal holds the record

	// DroppedInDoubt and RejectedInDoubt: an attempt to store it got no answer, so a row may
	// carry it. A trigger may refuse a record that is stored already.
	DroppedInDoubt
	RejectedInDoubt
	fates
)

// Account is what one source knows of its ordinals. It makes the source's statements. It is
// safe for concurrent use.
type Account struct {
	source uuid.UUID
	label  string

	mu       sync.Mutex
	given    func() int64 // the highest ordinal that was given
	block    int64
	reserved int64
	stated   int64 // the highest ordinal of the last statement
	number   int64 // of the last statement
	decided  Set   // decided, of 1 to given
	news     [fates]Set
	changed  bool
	carried  bool  // on behalf of a source that has ended
	through  int64 // what the source itself has accepted, if carried
}

// NewAccount returns the account of a source that begins. It reserves ordinals in blocks.
// given returns the highest ordinal that was given.
func NewAccount(source uuid.UUID, label string, block int64, given func() int64) *Account {
	return &Account{source: source, label: label, block: block, given: given}
}

// CarryOn returns the account of a source that has ended and has left waiting ordinals behind.
// Continue says what its last statement was, as far as is known, before the first call of State.
func CarryOn(source uuid.UUID, label string, waiting Set) *Account {
	waiting = statable(waiting)
	limit := waiting.Max()
	return &Account{
		source: source, label: label, carried: true, changed: true,
		given:   func() int64 { return limit },
		decided: Span(1, limit).Minus(waiting),
	}
}

// Continue makes the account go on after an earlier statement of its source.
func (a *Account) Continue(last Statement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.number = max(a.number, last.Number)
	a.through = max(a.through, last.AcceptedThrough)
	a.reserved = max(a.reserved, last.ReservedThrough, last.AcceptedThrough, a.given())
}

// Source returns the source's id.
func (a *Account) Source() uuid.UUID { return a.source }

// Decide notes the fate of an ordinal.
func (a *Account) Decide(ordinal int64, fate Fate) { a.DecideAll(SetOf(ordinal), fate) }

// DecideAll notes the fate of ordinals. It leaves out those that are decided already.
func (a *Account) DecideAll(ordinals Set, fate Fate) {
	ordinals = statable(ordinals)
	a.mu.Lock()
	defer a.mu.Unlock()
	if fate != Present {
		a.news[fate].AddAll(ordinals.Minus(a.decided))
	}
	a.decided.AddAll(ordinals)
	a.changed = true
}

// statable leaves out the largest ordinal, which an int8multirange cannot hold. No source gives
// it. A forged line that has it must not block every statement.
func statable(ordinals Set) Set {
	if ordinals.Max() == math.MaxInt64 {
		return ordinals.Minus(SetOf(math.MaxInt64))
	}
	return ordinals
}

// Drop numbers a record that is dropped, by give, and notes its fate. It is one step: no
// statement speaks of the ordinal before.
func (a *Account) Drop(give func() int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ordinal := give()
	a.news[Dropped].Add(ordinal, ordinal)
	a.decided.Add(ordinal, ordinal)
	a.changed = true
}

// Changed reports whether there is something to state that the last statement does not say.
func (a *Account) Changed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed || (!a.carried && a.given() != a.stated)
}

// Reserved returns the highest ordinal that a statement has reserved.
func (a *Account) Reserved() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reserved
}

// ShortFrom returns the ordinal with which more than half of the reserved block is used.
func (a *Account) ShortFrom() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shortFrom()
}

func (a *Account) shortFrom() int64 { return a.reserved - a.block/2 + 1 }

// RunsShort reports whether more than half of the reserved block is used.
func (a *Account) RunsShort() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.carried && a.given() >= a.shortFrom()
}

// State makes the next statement, in parts if it is long. spooled are the ordinals whose
// records are in the spool. Until its line is gone, a later run of the recorder may send a
// record again, and then it may come after all. So a spooled ordinal waits, even if the same
// statement says that it will not come. A Closed statement reserves nothing, and what is
// neither decided nor spooled by then is not waiting.
func (a *Account) State(kind Kind, spooled Set) []Statement {
	a.mu.Lock()
	defer a.mu.Unlock()
	given := a.given()
	s := Statement{
		SourceID: a.source, Number: a.number + 1, Kind: kind, AcceptedThrough: given, Label: a.label,
		Dropped: a.news[Dropped], Rejected: a.news[Rejected], AlreadyPersisted: a.news[AlreadyPersisted],
		Waiting: Span(1, given).Minus(a.decided),
	}
	var doubtful Set
	doubtful.AddAll(a.news[DroppedInDoubt])
	doubtful.AddAll(a.news[RejectedInDoubt])
	a.reserve(&s, spooled)
	for _, fate := range []Set{s.Dropped, s.Rejected, s.AlreadyPersisted} {
		doubtful.AddAll(fate.And(spooled))
	}
	s.Dropped.AddAll(a.news[DroppedInDoubt])
	s.Rejected.AddAll(a.news[RejectedInDoubt])
	s.Waiting.AddAll(doubtful)
	parts := s.split(MaxRanges)
	a.number += int64(len(parts))
	a.news, a.changed, a.stated = [fates]Set{}, false, given
	return parts
}

// HasNews reports whether an ordinal will never come, and no statement says so yet.
func (a *Account) HasNews() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.news[Rejected])+len(a.news[RejectedInDoubt])+len(a.news[AlreadyPersisted]) > 0
}

func (a *Account) reserve(s *Statement, spooled Set) {
	given := s.AcceptedThrough
	switch {
	case a.carried:
		s.AcceptedThrough = max(given, a.through)
	case s.Kind == Closed:
		a.reserved = given
		s.Waiting = s.Waiting.And(spooled)
	case given >= a.shortFrom():
		a.reserved = given + a.block
	}
	s.ReservedThrough = a.reserved
}
