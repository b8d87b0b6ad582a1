package shared

import (
	"context"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// clockTolerance is how far ahead of this machine's clock a record may be.
const clockTolerance = time.Minute

// Outside says where the records of a scope are if a bounded window has none. It only adds
// to an answer, so it is empty if it cannot find out.
func Outside(ctx context.Context, store *coordaudit.Store, scope audit.Scope, window audit.Window, now time.Time) string {
	if window.Since.IsZero() && window.Until.IsZero() {
		return ""
	}
	ends := make(map[audit.Order]time.Time)
	for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
		page, err := store.List(ctx, audit.Query{Scope: scope, Order: order, Limit: 1})
		if err != nil {
			return ""
		}
		if len(page.Records) == 0 {
			return "the trail holds no record for " + format.Folded(scope.String())
		}
		ends[order] = page.Records[0].DecisionTimestamp
	}
	return outsideText("record for "+format.Folded(scope.String()), ends[audit.NewestFirst], ends[audit.OldestFirst], window, now)
}

// GapsOutside does the same for gaps.
func GapsOutside(ctx context.Context, store *coordaudit.Store, window audit.Window, now time.Time) string {
	if window.Since.IsZero() && window.Until.IsZero() {
		return ""
	}
	gaps, err := store.Gaps(ctx, audit.GapQuery{Limit: 1})
	if err != nil || len(gaps) == 0 {
		return ""
	}
	return outsideText("gap", gaps[0].Until, time.Time{}, window, now)
}

func outsideText(what string, newest, oldest time.Time, window audit.Window, now time.Time) string {
	clock := "this machine's clock says " + now.UTC().Format(time.RFC3339)
	switch {
	case !window.Since.IsZero() && newest.Before(window.Since):
		return fmt.Sprintf("the newest %s is of %s, before this window (%s): look further back, for example with --since %s; %s",
			what, format.Time(newest), format.Window(window), newest.UTC().Format(time.DateOnly), clock)
	case !window.Until.IsZero() && !oldest.IsZero() && !oldest.Before(window.Until):
		text := fmt.Sprintf("the oldest %s is of %s, after this window (%s): leave out --until, or give a later one", what, format.Time(oldest), format.Window(window))
		if oldest.After(now.Add(clockTolerance)) {
			text += "; it lies in the future, " + clock
		}
		return text
	case newest.After(now.Add(clockTolerance)):
		return fmt.Sprintf("the newest %s is of %s, in the future: %s", what, format.Time(newest), clock)
	default:
		return ""
	}
}

// Clock shows the time of day.
func Clock(at time.Time) string { return at.UTC().Format(time.TimeOnly) }

// Newest is the record to look at first.
func Newest(e audit.Evidence) term.Cell {
	if len(e.AuditIDs) == 0 {
		return term.Cell{}
	}
	return term.Plain(e.AuditIDs[0].String())
}
