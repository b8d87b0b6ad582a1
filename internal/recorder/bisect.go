package recorder

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// bisection is one batch's way to the database. A batch that is refused is split
// until the record that is refused stands alone.
//
// Not every refusal is the record's fault: a right that was revoked refuses them
// all. A record is at fault if PostgreSQL's error is of a kind that a row's values
// cause, or, where the error leaves that open, if others are stored while it is
// refused. Else nobody is, and the batch is kept and tried again.
type bisection struct {
	*sender
	verdicts     []verdict
	storedBefore int64
	suspects     []suspect
}

// suspect is a record that was refused alone, without a proof that it is at fault.
type suspect struct {
	index int
	err   error
}

// samples is how many records of a refused batch are sent alone, to see whether
// the database refuses them all: cheaper than to bisect a batch of them.
const samples = 3

// send sends a part of the batch, whose first record has the given index.
func (b *bisection) send(ctx context.Context, recs []audit.Record, first int) error {
	results, err := b.attempt(ctx, recs)
	switch {
	case err == nil:
		return b.note(results, first)
	case !errors.Is(err, audit.ErrRefused), blame(err) == auditdriver.BlameDatabase:
		return err
	case len(recs) == 1:
		b.refuse(first, err)
		return nil
	case blame(err) == auditdriver.BlameUnknown && !b.proven():
		if err := b.sample(ctx, recs, first); err != nil {
			return err
		}
		if !b.proven() {
			return err
		}
	}
	half := len(recs) / 2
	if err := b.send(ctx, recs[:half], first); err != nil {
		return err
	}
	return b.send(ctx, recs[half:], first+half)
}

func (b *bisection) sample(ctx context.Context, recs []audit.Record, first int) error {
	for _, i := range rand.Perm(len(recs))[:min(samples, len(recs))] { //nolint:gosec // no secret
		results, err := b.attempt(ctx, recs[i:i+1])
		switch {
		case err == nil:
			return b.note(results, first+i)
		case !errors.Is(err, audit.ErrRefused):
			return err
		}
	}
	return nil
}

// proven reports that the database stores records while it refuses this batch.
func (b *bisection) proven() bool {
	stored := b.health.storedBatches()
	return stored > b.storedBefore || (b.refusedAt != none && stored > b.refusedAt)
}

// note takes down what the database said of each record. A sample is sent again
// with its part: its first verdict stands.
func (b *bisection) note(results []auditdriver.Result, first int) (err error) {
	for i, result := range results {
		v := &b.verdicts[first+i]
		switch {
		case !v.open():
		case result.Err == nil:
			v.receipt = result.Receipt
		case errors.Is(result.Err, audit.ErrConflict):
			v.refused = result.Err
		case errors.Is(result.Err, audit.ErrRefused):
			b.refuse(first+i, result.Err)
		default:
			err = result.Err
		}
	}
	return err
}

func (b *bisection) refuse(index int, err error) {
	if blame(err) == auditdriver.BlameRecord {
		b.verdicts[index].refused = err
		return
	}
	b.suspects = append(b.suspects, suspect{index, err})
}

// judge decides on the suspects, once all other records have had their chance.
func (b *bisection) judge() (err error) {
	proven := b.proven()
	for _, s := range b.suspects {
		switch {
		case !b.verdicts[s.index].open():
		case proven:
			b.verdicts[s.index].refused = s.err
		default:
			err = s.err
		}
	}
	return err
}

func blame(err error) auditdriver.Blame {
	if failure, ok := errors.AsType[*auditdriver.StatementError](err); ok {
		return failure.Blame
	}
	return auditdriver.BlameUnknown
}

func sqlState(err error) string {
	if failure, ok := errors.AsType[*auditdriver.StatementError](err); ok {
		return failure.SQLState
	}
	return ""
}
