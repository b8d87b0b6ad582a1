package coordaudit

import (
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Signals looks for rejection rates, oscillations, friction between classes, repeated
// rejections and preemption cycles in a window, each with its evidence. Package audit
// defines them.
// ctx bounds the call. It reads the whole window and also earlier records, where a
// record does not state its counterpart's class. Errors are those of [Store.List].
func (s *Store) Signals(ctx context.Context, q audit.SignalQuery) (_ audit.Signals, err error) {
	defer wrap(&err, "looking for signals for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return audit.Signals{}, err
	}
	q = q.WithDefaults()
	q.Window = q.Window.Normalized()
	return read(s, func() (audit.Signals, error) { return s.driver.Signals(ctx, &q) })
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
