package coordaudit

import (
	"context"

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
