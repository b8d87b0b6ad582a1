package recorder

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// bisection sends one batch. It splits a batch that is refused until the record that is
// refused stands alone.
//
// Most refusals are not the record's fault: a CHECK (false), a missing partition or an
// exhausted sequence refuses every record, with the same SQLSTATE that one bad record
// would get. So a refusal alone proves nothing. A record is at fault if it was refused alone,
// and is refused again in a transaction that inserts another record. That transaction is
// rolled back, and no one can change the table in it. A constraint of ours that reads the
// record's own values is the one exception: it needs no proof.
type bisection struct {
	database attempter
	recs     []audit.Record // the batch, followed by the other sender's suspects
	own      int            // the batch's length
	verdicts []verdict
	suspects map[int]bool       // by index: refused alone in this batch
	known    map[uuid.UUID]bool // refused alone in the sender's last batch

	// good is a record that the database accepts and that was not sent yet, or none.
	good int

	// insertions is the count when the batch began, refusedAt the count when the last batch
	// was refused.
	insertions, refusedAt int64

	// refusals counts those since a part of the batch was accepted. refusal is the last one.
	refusals int
	refusal  error
}

// attempter makes single attempts at the database.
type attempter interface {
	send(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error)
	dryRun(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error)

	// insertions rises with each attempt, of any sender, that inserted a record.
	insertions() int64
}

const (
	none = -1

	// maxRefusals in a row end a bisection unless the database still accepts a record.
	maxRefusals = 64
)

func newBisection(database attempter, recs, others []audit.Record, known map[uuid.UUID]bool, refusedAt int64) *bisection {
	return &bisection{
		database:   database,
		recs:       slices.Concat(recs, others),
		own:        len(recs),
		verdicts:   make([]verdict, len(recs)+len(others)),
		suspects:   map[int]bool{},
		known:      known,
		good:       none,
		insertions: database.insertions(),
		refusedAt:  refusedAt,
	}
}

// run sends the batch. If it returns an error, some verdicts are open.
func (b *bisection) run(ctx context.Context) error {
	rest, known := b.partition()
	err := b.sendRest(ctx, rest, known)
	if err != nil && !errors.Is(err, errAllRefused) {
		return err
	}
	if slices.ContainsFunc(b.verdicts[:b.own], func(v verdict) bool { return v.open() }) {
		return b.refusal
	}
	return nil
}

// errAllRefused ends a bisection: the database accepts nothing.
var errAllRefused = errors.New("every record is refused")

// partition separates the batch's records from those that were refused alone before: by
// this sender, or by the other one, which asks for a proof.
func (b *bisection) partition() (rest, known []int) {
	for i := range b.recs {
		if i >= b.own || b.isKnown(i) {
			known = append(known, i)
		} else {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 { // there is no record to try them with
		return known[:b.own], nil
	}
	return rest, known
}

func (b *bisection) isKnown(index int) bool { return b.known[b.recs[index].AuditID] }

func (b *bisection) sendRest(ctx context.Context, rest, known []int) error {
	if len(known) > 0 {
		if err := b.sample(ctx, rest); err != nil {
			return err
		}
		if err := b.try(ctx, known); err != nil {
			return err
		}
	}
	accepted, err := b.attempt(ctx, rest)
	if err != nil || accepted || len(rest) == 1 {
		return err
	}
	return b.split(ctx, rest)
}

// split sends a refused part by halves, if the database accepts anything. It keeps a good
// record for the end, to try the refused ones with it.
func (b *bisection) split(ctx context.Context, part []int) error {
	if err := b.sample(ctx, part); err != nil {
		return err
	}
	if err := b.halves(ctx, slices.DeleteFunc(part, func(i int) bool { return i == b.good })); err != nil {
		return err
	}
	if b.good == none {
		return nil
	}
	if err := b.try(ctx, b.unproven()); err != nil {
		return err
	}
	_, err := b.attempt(ctx, []int{b.good})
	return err
}

func (b *bisection) halves(ctx context.Context, part []int) error {
	half := len(part) / 2
	if err := b.send(ctx, part[:half]); err != nil {
		return err
	}
	return b.send(ctx, part[half:])
}

// send sends a part, and its halves if it is refused.
func (b *bisection) send(ctx context.Context, part []int) error {
	if b.refusals > maxRefusals {
		if err := b.sample(ctx, nil); err != nil {
			return err
		}
	}
	if part = b.undecided(part); len(part) == 0 {
		return nil
	}
	accepted, err := b.attempt(ctx, part)
	if err != nil || accepted || len(part) == 1 {
		return err
	}
	return b.halves(ctx, part)
}

// attempt sends a part once. A refusal is no error: accepted is false then, and a record
// that was sent alone is decided or a suspect.
func (b *bisection) attempt(ctx context.Context, part []int) (accepted bool, err error) {
	items, err := b.database.send(ctx, b.gather(part))
	if err == nil {
		b.refusals = 0
		return true, b.note(part, items)
	}
	if !errors.Is(err, audit.ErrRefused) || auditdriver.RefusesAll(err) {
		return false, err
	}
	b.refusals++
	b.refusal = err // of the part, if it has more than one record
	if len(part) == 1 {
		b.refused(part[0], err)
	}
	return false, nil
}

func (b *bisection) gather(part []int) []audit.Record {
	if len(part) == len(b.recs) {
		return b.recs
	}
	recs := make([]audit.Record, len(part))
	for to, from := range part {
		recs[to] = b.recs[from]
	}
	return recs
}

// undecided returns the records of a part that nothing is known about.
func (b *bisection) undecided(part []int) (left []int) {
	for _, i := range part {
		if b.verdicts[i].open() && !b.suspects[i] {
			left = append(left, i)
		}
	}
	return left
}
