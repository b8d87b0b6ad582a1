package coordaudit

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Breakdown counts the records of a window by class and decision, tenant, day,
// reason and target. Errors are those of [Store.List]. ctx bounds the call, which
// reads the whole window.
func (s *Store) Breakdown(ctx context.Context, q audit.BreakdownQuery) (audit.Breakdown, error) {
	breakdown, err := s.breakdown(ctx, q)
	if err != nil {
		return audit.Breakdown{}, fmt.Errorf("breaking down the audit records for %s: %w", q.Scope, err)
	}
	return breakdown, nil
}

func (s *Store) breakdown(ctx context.Context, q audit.BreakdownQuery) (breakdown audit.Breakdown, err error) {
	if err := q.Validate(); err != nil {
		return audit.Breakdown{}, err
	}
	q.Window = q.Window.Normalized()
	err = s.reading(func() (err error) {
		breakdown, err = s.driver.Breakdown(ctx, &q)
		return err
	})
	return breakdown, err
}
