package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// PersistManyFast is [Store.PersistMany] by COPY where COPY can be used. It is for
// imports, whose records are nearly always new. COPY returns no rows, so the call
// returns the number of records by outcome and no results.
//
// Durability, errors and bounds are those of PersistMany. A record that the
// *[audit.BatchError] does not name is committed when the call returns. Persisting a
// batch again stores nothing twice. [MaxBatch], [Config.Timeout] and [Config.Retries]
// hold. Seq follows the batch's order.
//
// COPY stores all of a batch or nothing. If an id is taken or the database refuses a
// record, the batch is sent a second time as PersistMany sends it, within the same
// bound. The refused COPY leaves dead rows for vacuum. A repeated import pays for this
// once: after such a batch the store first looks up which ids are stored and inserts
// the others, until a batch finds none of its ids taken. So a repeated import uses up
// no numbers of Seq. If COPY cannot be used at all, as under row-level security, the
// store never tries it again.
func (s *Store) PersistManyFast(ctx context.Context, recs []audit.Record) (audit.Counts, error) {
	results, err := s.persistMany(ctx, recs, s.sender(ctx, s.persistFast))
	return countResults(results), err
}

// persistFast is one attempt.
func (s *Store) persistFast(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
	unclear := false
	if s.copyMemory.usable() {
		items, err := s.driver.CopyMany(ctx, recs)
		s.copyMemory.copied(err)
		if err == nil {
			return items, nil
		}
		unclear = auditdriver.CopyUnclear(err)
		if !unclear && !errors.Is(err, audit.ErrRefused) && !auditdriver.CopyRefused(err) {
			return nil, err
		}
	}
	persist := s.driver.PersistMany
	if s.copyMemory.taken.Load() {
		persist = s.driver.PersistMissing
	}
	items, err := persist(ctx, recs)
	switch {
	case err == nil:
		s.copyMemory.persisted(items)
		for i := range items {
			items[i].InDoubt = unclear
		}
	case unclear && !errors.Is(err, audit.ErrOutcomeUnknown):
		err = fmt.Errorf("%w: the COPY's answer did not say whether it was committed, and the second attempt failed: %w", audit.ErrOutcomeUnknown, err)
	}
	return items, err
}

func countResults(results []audit.Result) audit.Counts {
	counts := audit.Counts{Attempts: int64(len(results))}
	for i := range results {
		switch results[i].Outcome {
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

// copyMemory remembers how the last batches ended, so that the next one is not sent
// twice for the same reason.
type copyMemory struct {
	taken   atomic.Bool // the last batch met taken ids, or may have: its commit was in doubt
	refused atomic.Bool // the server refuses COPY for this role or table
}

// usable reports whether the next batch should try COPY.
func (m *copyMemory) usable() bool { return !m.taken.Load() && !m.refused.Load() }

func (m *copyMemory) copied(err error) {
	switch {
	case err == nil:
	case auditdriver.CopyRefused(err):
		m.refused.Store(true)
	case errors.Is(err, audit.ErrRefused), errors.Is(err, audit.ErrOutcomeUnknown):
		m.taken.Store(true)
	}
}

func (m *copyMemory) persisted(items []auditdriver.Item) {
	for i := range items {
		if items[i].Err != nil || items[i].Result.Outcome != audit.Persisted {
			m.taken.Store(true)
			return
		}
	}
	m.taken.Store(false)
}
