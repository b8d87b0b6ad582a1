package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// MaxBatch is how many records one PersistMany takes. That many of the largest
// records stay below PostgreSQL's limit of 1 GiB for one message. Whether they are
// stored within [Config.Timeout] is the server's matter: a batch of thousands may
// need more than the default, which is meant for one record.
const MaxBatch = 10_000

// PersistMany stores a batch in one statement and one transaction of its own,
// with the durability, the timeout and the retries of [Store.Persist]. It returns
// one receipt a record, in the batch's order, which is also the order of Seq.
//
// Records fail one by one: those that are invalid or in conflict are refused,
// and all others are stored. Then the error is an *[audit.BatchError] that names
// each failed record; a record that it does not name is stored. If the statement
// itself fails, it names every record that was sent. An id that comes twice in a
// batch is stored once.
//
// A batch of more than [MaxBatch] records is refused as a whole with
// [audit.ErrBatchTooLarge]. An empty batch does nothing.
func (s *Store) PersistMany(ctx context.Context, recs []audit.Record) ([]audit.Receipt, error) {
	return s.persistMany(ctx, recs, func(recs []audit.Record) (results []auditdriver.Result, attempts int, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Timeout)
		defer cancel()
		attempts, err = s.retry(ctx, func() error {
			results, err = s.driver.PersistMany(ctx, recs)
			return err
		})
		return results, attempts, err
	})
}

// PersistManyTx is [Store.PersistMany] inside the caller's transaction, with the
// promises of [Store.PersistTx].
func (s *Store) PersistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) ([]audit.Receipt, error) {
	return s.persistMany(ctx, recs, func(recs []audit.Record) (results []auditdriver.Result, attempts int, err error) {
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		results, err = s.driver.PersistManyTx(ctx, tx, recs)
		return results, 1, err
	})
}

// batch is what became of each record of one PersistMany, by index.
type batch struct {
	records  []audit.Record
	receipts []audit.Receipt
	errs     []error
	attempts int
}

func (s *Store) persistMany(ctx context.Context, recs []audit.Record, send func([]audit.Record) ([]auditdriver.Result, int, error)) ([]audit.Receipt, error) {
	start := time.Now()
	b := batch{
		records:  append([]audit.Record(nil), recs...),
		receipts: make([]audit.Receipt, len(recs)),
		errs:     make([]error, len(recs)),
	}
	valid := b.prepare()
	switch {
	case len(recs) > MaxBatch:
		b.fail(valid, fmt.Errorf("%w: %d records, at most %d", audit.ErrBatchTooLarge, len(recs), MaxBatch))
	case len(valid) == 0:
	case s.replaying:
		for _, i := range valid {
			b.receipts[i].Outcome = audit.Skipped
		}
	default:
		if err := s.calls.begin(); err != nil {
			b.fail(valid, err)
			break
		}
		b.send(valid, send)
		s.calls.end()
	}
	return b.receipts, s.settleBatch(ctx, &b, time.Since(start))
}

// prepare checks every record and returns the indexes of the valid ones.
func (b *batch) prepare() []int {
	valid := make([]int, 0, len(b.records))
	for i := range b.records {
		if b.errs[i] = prepare(&b.records[i]); b.errs[i] == nil {
			valid = append(valid, i)
		}
		b.receipts[i].AuditID = b.records[i].AuditID
	}
	return valid
}

func (b *batch) send(valid []int, send func([]audit.Record) ([]auditdriver.Result, int, error)) {
	recs := b.records
	if len(valid) < len(recs) {
		recs = make([]audit.Record, len(valid))
		for to, from := range valid {
			recs[to] = b.records[from]
		}
	}
	results, attempts, err := send(recs)
	b.attempts = attempts
	if err != nil {
		b.fail(valid, err)
		return
	}
	for from, to := range valid {
		if b.errs[to] = results[from].Err; b.errs[to] == nil {
			b.receipts[to] = results[from].Receipt
		}
	}
}

func (b *batch) fail(indexes []int, err error) {
	for _, i := range indexes {
		b.errs[i] = err
	}
}

func (s *Store) settleBatch(ctx context.Context, b *batch, duration time.Duration) error {
	var failures []audit.BatchFailure
	for i := range b.records {
		err := s.settle(ctx, &b.records[i], b.receipts[i], settled{err: b.errs[i], attempts: b.attempts, duration: duration})
		if failed, ok := errors.AsType[*audit.PersistError](err); ok {
			failures = append(failures, audit.BatchFailure{Index: i, Err: failed})
		}
	}
	if failures == nil {
		return nil
	}
	return &audit.BatchError{Total: len(b.records), Failures: failures}
}
