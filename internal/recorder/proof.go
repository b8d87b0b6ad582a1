package recorder

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

const (
	// samples is how many records of a refused batch are tried alone, to see whether the
	// database refuses them all. That is cheaper than to bisect a batch of them.
	samples = 3

	// maxTried is how many suspects one transaction tries. It holds locks meanwhile.
	maxTried = 32
)

// sample looks for a good record, starting with the one that was good before. It fails if
// the database refuses a few of them, unless the database has inserted records of the other
// sender since it refused the last batch.
func (b *bisection) sample(ctx context.Context, part []int) error {
	tried := b.undecided(part)
	//nolint:gosec // which records are tried first is no secret
	rand.Shuffle(len(tried), func(i, j int) { tried[i], tried[j] = tried[j], tried[i] })
	if b.good != none {
		tried = []int{b.good}
	}
	b.good = none
	for _, i := range tried[:min(samples, len(tried))] {
		items, err := b.database.dryRun(ctx, b.gather([]int{i}))
		if err != nil {
			return err
		}
		switch err := items[0].Err; {
		case anyInserted(items):
			b.good, b.refusals = i, 0
			return nil
		case err == nil, errors.Is(err, audit.ErrConflict): // it is stored, and gets that verdict when it is sent
			b.refusals = 0
			return nil
		default:
			b.refused(i, err)
			if !b.verdicts[i].open() {
				return nil
			}
		}
	}
	if b.refusals <= maxRefusals && b.database.insertions() > min(b.insertions, b.refusedAt) {
		return nil
	}
	return errAllRefused
}

// try decides on records that were refused alone, if there is a good one.
func (b *bisection) try(ctx context.Context, suspects []int) error {
	if b.good == none {
		return nil
	}
	for tried := range slices.Chunk(suspects, maxTried) {
		items, err := b.database.dryRun(ctx, b.gather(append([]int{b.good}, tried...)))
		if err != nil {
			return err
		}
		for i, item := range items[1:] {
			switch {
			case errors.Is(item.Err, audit.ErrRefused) && !auditdriver.RefusesAll(item.Err):
				b.verdicts[tried[i]].refused = item.Err
			case tried[i] >= b.own: // its own sender sends it again
			default:
				if _, err := b.attempt(ctx, tried[i:i+1]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// unproven returns the batch's suspects that are not decided, in order.
func (b *bisection) unproven() (left []int) {
	for i := range b.own {
		if b.verdicts[i].open() && (b.suspects[i] || b.isKnown(i)) {
			left = append(left, i)
		}
	}
	return left
}

// unprovenIDs are the suspects that are left, for the next batch that holds them.
func (b *bisection) unprovenIDs() map[uuid.UUID]bool {
	left := map[uuid.UUID]bool{}
	for _, i := range b.unproven() {
		left[b.recs[i].AuditID] = true
	}
	return left
}

// note takes over the answers for the records of a part that the database accepted. A
// record that is refused while another one of the same statement is inserted is at fault.
func (b *bisection) note(part []int, items []auditdriver.Item) (err error) {
	proven := anyInserted(items)
	for i, item := range items {
		v := &b.verdicts[part[i]]
		switch {
		case item.Err == nil:
			v.result, v.elsewhere = item.Result, item.Elsewhere
		case errors.Is(item.Err, audit.ErrConflict), errors.Is(item.Err, audit.ErrRefused) && proven:
			v.refused = item.Err
		case errors.Is(item.Err, audit.ErrRefused):
			b.refused(part[i], item.Err)
		default:
			err = item.Err
		}
	}
	return err
}

// refused notes that a record was refused alone.
func (b *bisection) refused(index int, err error) {
	b.refusal = err
	b.suspects[index] = true
}

func anyInserted(items []auditdriver.Item) bool {
	return slices.ContainsFunc(items, func(item auditdriver.Item) bool {
		return item.Err == nil && item.Result.Outcome == audit.Persisted
	})
}

func sqlState(err error) string {
	if failure, ok := errors.AsType[*auditdriver.StatementError](err); ok {
		return failure.SQLState
	}
	return ""
}
