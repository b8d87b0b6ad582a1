package coordaudit

import (
	"cmp"
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Gaps lists the gaps on record: what recorders could neither store nor keep. The gap
// that began last comes first. It takes no scope, since a gap counts the records of all
// tenants together and holds no content of any.
//
// An empty list means that no recorder has put a gap on record. A recorder that has
// lost records does so once the database answers it. A process that is killed before
// then does not.
//
// An error wraps [audit.ErrInvalidQuery] (with every fault of the query),
// [audit.ErrUnavailable], [audit.ErrRefused], [audit.ErrNoPool] or
// [audit.ErrClosed]. ctx bounds the call.
func (s *Store) Gaps(ctx context.Context, q audit.GapQuery) (_ []audit.Gap, err error) {
	defer wrap(&err, "listing audit gaps")
	if err := q.Validate(); err != nil {
		return nil, err
	}
	q.Window = q.Window.Normalized()
	q.Limit = cmp.Or(q.Limit, audit.DefaultPageSize)
	return read(s, func() ([]audit.Gap, error) { return s.driver.ListGaps(ctx, &q) })
}
