package reporting

import (
	"context"
	"errors"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// refusesGaps reports whether the role may not read gaps. It is asked before the moment begins:
// a transaction in which a statement was refused can read nothing more.
func refusesGaps(ctx context.Context, store *coordaudit.Store) (bool, error) {
	_, err := store.Gaps(ctx, audit.GapQuery{Limit: 1})
	if errors.Is(err, audit.ErrRefused) {
		return true, nil
	}
	return false, err
}

// collectCompleteness accounts for the sources that were at work since the window began. What
// was decided in the window may have been accepted, or stored, after its end.
func collectCompleteness(ctx context.Context, store *coordaudit.Store, window audit.Window) (found *audit.Completeness, unread string, err error) {
	account, err := store.Completeness(ctx, audit.CompletenessQuery{Window: audit.Window{Since: window.Since}})
	switch {
	case errors.Is(err, audit.ErrRefused):
		return nil, format.OneLine(format.Cause(err)), nil
	case err != nil:
		return nil, "", err
	default:
		return &account, "", nil
	}
}
