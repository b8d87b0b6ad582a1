package coordaudit

import (
	"context"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
)

// skipping counts what a recorder in a replay skips.
type skipping struct {
	closed atomic.Bool
	counts counters
}

// skip is a replay's end of a record.
func (r *Recorder) skip(ctx context.Context, rec *audit.Record) (audit.Receipt, error) {
	receipt := audit.Receipt{AuditID: rec.AuditID}
	if r.skipping.closed.Load() {
		return receipt, r.refuse(ctx, rec, audit.ErrClosed)
	}
	r.skipping.counts.add(rec.EnvelopeClass, audit.Skipped)
	receipt.Outcome = audit.Skipped
	return receipt, r.store.tell(ctx, rec, receipt, settled{})
}

func (s *skipping) stats() audit.RecorderStats {
	stats := audit.RecorderStats{ByClass: map[audit.EnvelopeClass]audit.RecorderCounts{}}
	for class, counts := range s.counts.stats() {
		stats.ByClass[class] = audit.RecorderCounts{Accepted: counts.Attempts, Skipped: counts.Skipped}
	}
	return stats
}
