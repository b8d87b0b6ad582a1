package coordaudit

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// Load stores a batch as [Store.PersistMany] does, by COPY where it can: for
// imports, whose records are new nearly always. It returns how many records came to
// which end, and no receipts, since COPY returns none.
//
// Durability, errors and bounds are those of PersistMany: a record that the
// *[audit.BatchError] does not name is committed when Load returns, loading a batch
// again stores nothing twice, and [MaxBatch], [Config.Timeout] and [Config.Retries]
// hold. Seq follows the batch's order.
//
// COPY takes all of a batch or nothing, so a batch with a taken id, or with a record
// that the database refuses, is sent a second time as PersistMany sends it, within
// the same bound; the refused COPY leaves dead rows for vacuum. Where a load is
// repeated this is paid for once: the store keeps to PersistMany's way until a batch
// finds none of its ids taken. Where COPY cannot be used at all, as under row-level
// security, it keeps to it for good.
func (s *Store) Load(ctx context.Context, recs []audit.Record) (audit.Counts, error) {
	receipts, err := s.persistMany(ctx, recs, func(recs []audit.Record) (results []auditdriver.Result, attempts int, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Timeout)
		defer cancel()
		attempts, err = s.retry(ctx, func() error {
			results, err = s.load(ctx, recs)
			return err
		})
		return results, attempts, err
	})
	return countReceipts(receipts), err
}

// load is one attempt.
func (s *Store) load(ctx context.Context, recs []audit.Record) ([]auditdriver.Result, error) {
	if s.loading.byCopy() {
		err := s.driver.CopyMany(ctx, recs)
		s.loading.copied(err)
		if err == nil {
			return copiedResults(recs), nil
		}
		if !errors.Is(err, audit.ErrRefused) && !auditdriver.CopyRefused(err) {
			return nil, err
		}
	}
	results, err := s.driver.PersistMany(ctx, recs)
	if err == nil {
		s.loading.persisted(results)
	}
	return results, err
}

func copiedResults(recs []audit.Record) []auditdriver.Result {
	results := make([]auditdriver.Result, len(recs))
	for i := range recs {
		results[i].Receipt = audit.Receipt{AuditID: recs[i].AuditID, Outcome: audit.Persisted}
	}
	return results
}

func countReceipts(receipts []audit.Receipt) audit.Counts {
	counts := audit.Counts{Attempts: int64(len(receipts))}
	for i := range receipts {
		switch receipts[i].Outcome {
		case audit.Persisted:
			counts.Persisted++
		case audit.AlreadyPersisted:
			counts.AlreadyPersisted++
		case audit.Skipped:
			counts.Skipped++
		default:
			counts.Failed++
		}
	}
	return counts
}

// loading remembers what the last batches met, so that the next one is not sent
// twice for the same reason.
type loading struct {
	taken   atomic.Bool // ids of the last batch were, or may be: its commit was in doubt
	refused atomic.Bool // COPY as such is
}

func (l *loading) byCopy() bool { return !l.taken.Load() && !l.refused.Load() }

func (l *loading) copied(err error) {
	switch {
	case err == nil:
	case auditdriver.CopyRefused(err):
		l.refused.Store(true)
	case errors.Is(err, audit.ErrRefused), errors.Is(err, audit.ErrOutcomeUnknown):
		l.taken.Store(true)
	}
}

func (l *loading) persisted(results []auditdriver.Result) {
	for i := range results {
		if results[i].Err != nil || results[i].Receipt.Outcome != audit.Persisted {
			l.taken.Store(true)
			return
		}
	}
	l.taken.Store(false)
}
