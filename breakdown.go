package coordaudit

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Breakdown counts the records of a window by class and decision, tenant, day,
// reason and target. Errors are those of [Store.List]. ctx bounds the call, which
// reads the whole window.
func (s *Store) Breakdown(ctx context.Context, scope audit.Scope, window audit.Window) (audit.Breakdown, error) {
	breakdown, err := s.breakdown(ctx, scope, window)
	if err != nil {
		return audit.Breakdown{}, fmt.Errorf("breaking down the audit records for %s: %w", scope, err)
	}
	return breakdown, nil
}

func (s *Store) breakdown(ctx context.Context, scope audit.Scope, window audit.Window) (breakdown audit.Breakdown, err error) {
	if err := audit.ValidateWindow(scope, window); err != nil {
		return audit.Breakdown{}, err
	}
	err = s.reading(func() (err error) {
		breakdown, err = s.driver.Breakdown(ctx, scope, window.Normalized())
		return err
	})
	return breakdown, err
}
