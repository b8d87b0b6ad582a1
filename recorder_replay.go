package coordaudit

import (
	"context"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder"
)

// skipper skips the records of a replay, and counts them.
type skipper struct {
	store  *Store
	closed atomic.Bool
	counts counters
}

func (s *skipper) record(ctx context.Context, rec *audit.Record) (audit.Result, error) {
	if s.closed.Load() {
		return audit.Result{}, recorder.ErrClosed
	}
	s.counts.add(rec.EnvelopeClass, audit.Skipped)
	result := audit.Result{AuditID: rec.AuditID, Outcome: audit.Skipped}
	return result, s.store.reportOne(ctx, rec, result, finished{})
}

func (s *skipper) enqueue(ctx context.Context, rec *audit.Record) error {
	_, err := s.record(ctx, rec)
	return err
}

func (s *skipper) flush(context.Context) error { return nil }

func (s *skipper) close(context.Context) error {
	s.closed.Store(true)
	return nil
}

func (s *skipper) stats() audit.RecorderStats {
	stats := audit.RecorderStats{ByClass: map[audit.EnvelopeClass]audit.RecorderCounts{}}
	for class, counts := range s.counts.stats() {
		stats.ByClass[class] = audit.RecorderCounts{Accepted: counts.Attempts, Skipped: counts.Skipped}
	}
	return stats
}
