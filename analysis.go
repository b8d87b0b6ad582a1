package coordaudit

import (
	"cmp"
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Breakdown counts the records of a window by class and decision, tenant, day,
// reason, reason code and target. ctx bounds the call, which reads the whole window.
// Errors are those of [Store.List].
func (s *Store) Breakdown(ctx context.Context, q audit.BreakdownQuery) (_ audit.Breakdown, err error) {
	defer wrap(&err, "breaking down the audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return audit.Breakdown{}, err
	}
	q.Window = q.Window.Normalized()
	return read(s, func() (audit.Breakdown, error) { return s.driver.Breakdown(ctx, &q) })
}

// Count counts the records that match a query, on all pages. ctx bounds the call.
// Errors are those of [Store.List].
func (s *Store) Count(ctx context.Context, q audit.Query) (_ int64, err error) {
	defer wrap(&err, "counting audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return 0, err
	}
	q.Window = q.Window.Normalized()
	return read(s, func() (int64, error) { return s.driver.Count(ctx, &q) })
}

// Timeline reads one page of an envelope's history, oldest first. It holds the
// envelope's own records and those that name it as the conflicting envelope or as the
// preemptor, each once. The order is total: by decision time, then by seq, then by
// audit id. ctx bounds the call. Errors are those of [Store.List].
func (s *Store) Timeline(ctx context.Context, q audit.TimelineQuery) (_ audit.Timeline, err error) {
	defer wrap(&err, "reading the timeline of envelope %q for %s", clip(q.EnvelopeID), q.Scope)
	if err := q.Validate(); err != nil {
		return audit.Timeline{}, err
	}
	q.Window = q.Window.Normalized()
	of := timelineFingerprint(&q)
	from, err := positionOf(q.After, of)
	if err != nil {
		return audit.Timeline{}, err
	}
	size := cmp.Or(q.Limit, audit.DefaultPageSize)
	recs, err := read(s, func() ([]audit.Record, error) { return s.driver.Timeline(ctx, &q, from, size+1) })
	if err != nil {
		return audit.Timeline{}, err
	}
	recs, next := cutPage(recs, size, of)
	entries := make([]audit.TimelineEntry, len(recs))
	for i, rec := range recs {
		entries[i] = audit.TimelineEntry{Record: rec, Role: rec.RoleOf(q.EnvelopeID)}
	}
	return audit.Timeline{Entries: entries, Next: next}, nil
}

// Trend returns the rejection rates of adjacent windows of equal length, the earliest
// first. The query's window is the last of them. No record counts twice. ctx bounds the
// call, which reads all the windows. Errors are those of [Store.List].
func (s *Store) Trend(ctx context.Context, q audit.TrendQuery) (_ []audit.WindowRates, err error) {
	defer wrap(&err, "reading the trend for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return nil, err
	}
	q = q.WithDefaults()
	bounds := trendBounds(q.Window.Normalized(), q.Windows)
	rates, err := read(s, func() ([][]audit.RejectionRate, error) { return s.driver.Trend(ctx, &q, bounds) })
	if err != nil {
		return nil, err
	}
	trend := make([]audit.WindowRates, len(rates))
	for i := range rates {
		trend[i] = audit.WindowRates{Window: audit.Window{Since: bounds[i], Until: bounds[i+1]}, RejectionRates: rates[i]}
	}
	return trend, nil
}

// trendBounds returns n + 1 times. The last two bound the query's window. It computes
// in microseconds, since a time.Duration does not hold every window.
func trendBounds(window audit.Window, n int) []time.Time {
	since, until := window.Since.UnixMicro(), window.Until.UnixMicro()
	bounds := make([]time.Time, n+1)
	for i := range bounds {
		bounds[i] = time.UnixMicro(until - int64(n-i)*(until-since)).UTC()
	}
	return bounds
}
