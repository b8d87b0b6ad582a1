package coordaudit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// MaxBatch is the number of records that one PersistMany takes. A batch of that many of
// the largest records stays below PostgreSQL's limit of 1 GiB for one message. A batch
// of thousands may need more than the default [Config.Timeout], which is meant for one
// record.
const MaxBatch = 10_000

// PersistMany stores a batch in one statement and one transaction of its own, with the
// durability, the timeout and the retries of [Store.Persist]. It returns one result per
// record in the batch's order, which is also the order of Seq.
//
// Records fail one by one. Invalid or conflicting records are refused, and all others
// are stored. The error is then an *[audit.BatchError] that names each failed record. A
// record that it does not name is stored. If the statement itself fails, the error names
// every record that was sent. An id that occurs twice in a batch is stored once.
//
// A batch of more than [MaxBatch] records is refused as a whole with
// [audit.ErrBatchTooLarge]. An empty batch does nothing.
func (s *Store) PersistMany(ctx context.Context, recs []audit.Record) ([]audit.Result, error) {
	return s.persistMany(ctx, recs, s.sender(ctx, s.driver.PersistMany))
}

// sending sends the valid records of a batch.
type sending func([]audit.Record) (items []auditdriver.Item, attempts int, err error)

// attempting is one attempt to send the valid records of a batch.
type attempting func(context.Context, []audit.Record) ([]auditdriver.Item, error)

// sender sends batches by persist.
func (s *Store) sender(ctx context.Context, persist attempting) sending {
	return func(recs []audit.Record) (items []auditdriver.Item, attempts int, err error) {
		attempts, err = s.own(ctx, func(ctx context.Context) error {
			items, err = persist(ctx, recs)
			return err
		})
		return items, attempts, err
	}
}

// PersistManyTx is [Store.PersistMany] inside the caller's transaction. Durability,
// bounds and the savepoint are those of [Store.PersistTx].
func (s *Store) PersistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) ([]audit.Result, error) {
	return s.persistMany(ctx, recs, func(recs []audit.Record) (items []auditdriver.Item, attempts int, err error) {
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		items, err = s.driver.PersistManyTx(ctx, tx, recs)
		return items, 1, err
	})
}

// batch holds the outcome of each record of one PersistMany, by index.
type batch struct {
	records  []audit.Record
	results  []audit.Result
	errs     []error
	attempts int
}

func (s *Store) persistMany(ctx context.Context, recs []audit.Record, send sending) ([]audit.Result, error) {
	start := time.Now()
	b := batch{
		records: append([]audit.Record(nil), recs...),
		results: make([]audit.Result, len(recs)),
		errs:    make([]error, len(recs)),
	}
	valid := b.prepare()
	switch {
	case len(recs) > MaxBatch:
		b.fail(valid, fmt.Errorf("%w: %d records, at most %d", audit.ErrBatchTooLarge, len(recs), MaxBatch))
	case len(valid) == 0:
	case s.replaying:
		for _, i := range valid {
			b.results[i].Outcome = audit.Skipped
		}
	default:
		err := s.calls.during(func() error {
			b.send(valid, send)
			return nil
		})
		if err != nil {
			b.fail(valid, err)
		}
	}
	return b.results, s.finishBatch(ctx, &b, time.Since(start))
}

// prepare checks every record and returns the indexes of the valid ones.
func (b *batch) prepare() []int {
	valid := make([]int, 0, len(b.records))
	for i := range b.records {
		if b.errs[i] = prepare(&b.records[i]); b.errs[i] == nil {
			valid = append(valid, i)
		}
		b.results[i].AuditID = b.records[i].AuditID
	}
	return valid
}

func (b *batch) send(valid []int, send sending) {
	recs := b.records
	if len(valid) < len(recs) {
		recs = make([]audit.Record, len(valid))
		for to, from := range valid {
			recs[to] = b.records[from]
		}
	}
	items, attempts, err := send(recs)
	b.attempts = attempts
	if err != nil {
		b.fail(valid, err)
		return
	}
	for from, to := range valid {
		if b.errs[to] = items[from].Err; b.errs[to] == nil {
			b.results[to] = items[from].Result
		}
	}
}

func (b *batch) fail(indexes []int, err error) {
	for _, i := range indexes {
		b.errs[i] = err
	}
}

func (s *Store) finishBatch(ctx context.Context, b *batch, duration time.Duration) error {
	var failures []audit.BatchFailure
	ends := make([]finished, len(b.records))
	for i := range b.records {
		s.counts.add(b.records[i].EnvelopeClass, b.results[i].Outcome)
		ends[i] = finished{err: b.errs[i], attempts: b.attempts, duration: duration}
		if b.errs[i] != nil {
			failures = append(failures, audit.BatchFailure{Index: i, Err: persistError(&b.records[i], ends[i])})
		}
	}
	results := slices.Clone(b.results) // the caller owns its slice, and a hook may outlive the call
	s.hooks.Each(len(b.records), func(i int) { s.report(ctx, &b.records[i], results[i], ends[i]) })
	if failures == nil {
		return nil
	}
	return &audit.BatchError{Total: len(b.records), Failures: failures}
}
