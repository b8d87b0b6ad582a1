package reporting

import (
	"context"
	"errors"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// collectLosses reads the gaps and the account of the sources. It comes last, and the account
// comes last of all. A role that may read the records may not be allowed to read these, and a
// transaction in which a statement was refused can read nothing more. So whether gaps are
// refused is known before the moment begins.
func collectLosses(ctx context.Context, store *coordaudit.Store, data *report.Data, window audit.Window, gapsUnread bool) (err error) {
	if data.GapsUnread = gapsUnread; !gapsUnread {
		if data.Gaps, data.GapsUnread, err = collectGaps(ctx, store, window); err != nil {
			return err
		}
	}
	data.Completeness, data.CompletenessUnread, err = collectCompleteness(ctx, store, window)
	return err
}

// refusesGaps reports whether the role may not read gaps.
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
