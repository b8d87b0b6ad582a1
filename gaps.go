package coordaudit

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Gaps lists the gaps that are on record, the latest to begin first: what recorders
// could neither store nor keep. It takes no scope, since a gap counts the records
// of all tenants together and holds no content of any.
//
// That there is no gap says that no recorder has put one on record. One that has
// lost records does so once the database answers it, and a process that is killed
// by then does not.
//
// An error wraps [audit.ErrInvalidQuery] (every fault of the query),
// [audit.ErrUnavailable], [audit.ErrRefused], [audit.ErrNoPool] or
// [audit.ErrClosed]. ctx bounds the call.
func (s *Store) Gaps(ctx context.Context, q audit.GapQuery) ([]audit.Gap, error) {
	gaps, err := s.gaps(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("listing audit gaps: %w", err)
	}
	return gaps, nil
}

func (s *Store) gaps(ctx context.Context, q audit.GapQuery) (gaps []audit.Gap, err error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	q.Window = q.Window.Normalized()
	q.Limit = cmp.Or(q.Limit, audit.DefaultPageSize)
	err = s.reading(func() (err error) {
		gaps, err = s.driver.ListGaps(ctx, &q)
		return err
	})
	return gaps, err
}
