package coordaudit

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Signals looks for rejection rates, oscillations, friction between classes and
// repeated rejections in a window, each with its evidence. Errors are those of
// [Store.List]. ctx bounds the call, which reads the whole window and, where
// records do not state their counterpart's class, earlier ones.
func (s *Store) Signals(ctx context.Context, q audit.SignalQuery) (audit.Signals, error) {
	signals, err := s.signals(ctx, q)
	if err != nil {
		return audit.Signals{}, fmt.Errorf("looking for signals for %s: %w", q.Scope, err)
	}
	return signals, nil
}

func (s *Store) signals(ctx context.Context, q audit.SignalQuery) (signals audit.Signals, err error) {
	if err := q.Validate(); err != nil {
		return audit.Signals{}, err
	}
	q = q.WithDefaults()
	q.Window = q.Window.Normalized()
	err = s.reading(func() (err error) {
		signals, err = s.driver.Signals(ctx, &q)
		return err
	})
	return signals, err
}

// Trend returns the rejection rates of adjacent windows of equal length, the
// earliest first; the query's window is the last. No record counts twice. Errors
// are those of [Store.List]. ctx bounds the call, which reads all the windows.
func (s *Store) Trend(ctx context.Context, q audit.TrendQuery) ([]audit.WindowRates, error) {
	trend, err := s.trend(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("reading the trend for %s: %w", q.Scope, err)
	}
	return trend, nil
}

func (s *Store) trend(ctx context.Context, q audit.TrendQuery) ([]audit.WindowRates, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	q = q.WithDefaults()
	bounds := trendBounds(q.Window.Normalized(), q.Windows)
	var rates [][]audit.RejectionRate
	err := s.reading(func() (err error) {
		rates, err = s.driver.Trend(ctx, &q, bounds)
		return err
	})
	if err != nil {
		return nil, err
	}
	trend := make([]audit.WindowRates, len(rates))
	for i := range rates {
		trend[i] = audit.WindowRates{Window: audit.Window{Since: bounds[i], Until: bounds[i+1]}, RejectionRates: rates[i]}
	}
	return trend, nil
}

// trendBounds are n + 1 times, the last two the window's. Microseconds, since a
// time.Duration does not hold every window.
func trendBounds(window audit.Window, n int) []time.Time {
	since, until := window.Since.UnixMicro(), window.Until.UnixMicro()
	bounds := make([]time.Time, n+1)
	for i := range bounds {
		bounds[i] = time.UnixMicro(until - int64(n-i)*(until-since)).UTC()
	}
	return bounds
}
