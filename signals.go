package coordaudit

import (
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Signals looks for rejection rates, oscillations, friction between classes and
// repeated rejections in a window, each with its evidence. Package audit defines them.
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
