package recorder

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// block is how many ordinals are reserved ahead. After a kill that many at most are unknown.
const block = 8192

// book holds the accounts of this recorder's own source, and of the earlier sources whose
// records are still in the spool.
type book struct {
	own    *completeness.Account
	others map[uuid.UUID]*completeness.Account // never changed
}

// newBook opens the account of this run, and those of the sources that left something in the spool.
func newBook(config Config, queue *queue, last map[uuid.UUID]completeness.Statement, waiting map[uuid.UUID]completeness.Set) *book {
	b := &book{
		own:    completeness.NewAccount(config.Source, config.Label, block, queue.newest),
		others: map[uuid.UUID]*completeness.Account{},
	}
	for source, statement := range last {
		account := completeness.CarryOn(source, config.Label, waiting[source])
		account.Continue(statement) // the database may have a later one, and may be away
		b.others[source] = account
	}
	return b
}

// lastStatements returns what is found of each source that left something in the spool: its
// last statement, or one with the number 0.
func lastStatements(found spool.Found) map[uuid.UUID]completeness.Statement {
	last := map[uuid.UUID]completeness.Statement{}
	for source := range found.Ordinals {
		last[source] = completeness.Statement{SourceID: source}
	}
	for _, s := range found.Statements {
		if s.Number > last[s.SourceID].Number {
			last[s.SourceID] = s
		}
	}
	return last
}

// account returns the account of a source, or nil if the book has none.
func (b *book) account(source uuid.UUID) *completeness.Account {
	if source == b.own.Source() {
		return b.own
	}
	return b.others[source]
}

// carried returns the accounts of earlier sources.
func (b *book) carried() []*completeness.Account { return slices.Collect(maps.Values(b.others)) }

func (b *book) all() []*completeness.Account { return append(b.carried(), b.own) }

// decide notes how one record was decided.
func (b *book) decide(origin audit.Origin, fate completeness.Fate) {
	if account := b.account(origin.SourceID); account != nil {
		account.Decide(origin.SourceSeq, fate)
	}
}

// decideAll notes the fate of ordinals of several sources.
func (b *book) decideAll(ordinals map[uuid.UUID]completeness.Set, fate completeness.Fate) {
	for source, set := range ordinals {
		if account := b.account(source); account != nil {
			account.DecideAll(set, fate)
		}
	}
}

// fates gathers those of a batch, so that each account is locked once. Most ordinals of a batch
// are of one source and follow each other.
type fates struct {
	source uuid.UUID // of the sets
	sets   [decidable]completeness.Set
	others map[uuid.UUID]*fates
}

// decidable is the number of fates that a batch can have.
const decidable = completeness.RejectedInDoubt + 1

func (f *fates) add(origin audit.Origin, fate completeness.Fate) {
	switch {
	case origin.SourceSeq == 0: // from an older release
		return
	case f.source == uuid.Nil:
		f.source = origin.SourceID
	case f.source != origin.SourceID:
		f.other(origin.SourceID).add(origin, fate)
		return
	}
	f.sets[fate].Add(origin.SourceSeq, origin.SourceSeq)
}

func (f *fates) other(source uuid.UUID) *fates {
	other := f.others[source]
	if other == nil {
		if f.others == nil {
			f.others = map[uuid.UUID]*fates{}
		}
		other = &fates{source: source}
		f.others[source] = other
	}
	return other
}

func (f *fates) enter(b *book) {
	if account := b.account(f.source); account != nil {
		for fate, set := range f.sets {
			if len(set) > 0 {
				account.DecideAll(set, completeness.Fate(fate))
			}
		}
	}
	for _, other := range f.others {
		other.enter(b)
	}
}
