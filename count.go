package coordaudit

import (
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
)

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
