package recorder

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	callerhooks "github.com/hoc-analytics/coordaudit/internal/hooks"
)

// Reporter gets the outcomes of records and batches. It may be called from many goroutines.
type Reporter interface {
	// Finished is called once for each record, when it is stored (err is nil), rejected or
	// dropped. waited is its time in the queue, zero for a spooled record.
	Finished(ctx context.Context, rec *audit.Record, result audit.Result, err error, waited time.Duration)

	// Flushed is called for each batch that was sent.
	Flushed(ctx context.Context, flush audit.Flush)
}

// reports calls the Reporter so that a caller's observer neither ends nor blocks one of the
// machine's goroutines.
type reports struct {
	to    Reporter
	guard *callerhooks.Guard
	log   *slog.Logger // the caller's own
}

// report says how one record has finished.
type report struct {
	ctx    context.Context //nolint:containedctx // observers get the context of the record's caller
	rec    *audit.Record
	result audit.Result
	err    error
	waited time.Duration
}

func (r *reports) finished(ends ...report) { r.each(ends, func(int) {}) }

// each reports finished records one after the other, and calls then after each.
func (r *reports) each(ends []report, then func(i int)) {
	r.guard.Each(len(ends), func(i int) {
		end := ends[i]
		callerhooks.Safely(end.ctx, r.log, "finished", func() { r.to.Finished(end.ctx, end.rec, end.result, end.err, end.waited) })
		then(i)
	})
}

func (r *reports) flushed(ctx context.Context, flush audit.Flush) {
	r.guard.Do(func() {
		callerhooks.Safely(ctx, r.log, "flushed", func() { r.to.Flushed(ctx, flush) })
	})
}

// answer reports each finished record, and then answers the caller that waits for it. So a
// caller makes its next record while the others are reported. Those whose report blocks, or is
// skipped, are answered all the same.
func (r *reports) answer(entries []*entry, ends []report) {
	answered := make([]atomic.Bool, len(entries))
	reply := func(i int) {
		if !answered[i].Swap(true) {
			entries[i].reply(answer{result: ends[i].result, err: ends[i].err})
		}
	}
	r.each(ends, reply)
	for i := range entries {
		reply(i)
	}
}
