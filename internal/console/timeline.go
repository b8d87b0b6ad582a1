package console

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

func timelineParameters() []string {
	return []string{paramTenant, paramNoTenant, paramEnvelope, paramSince, paramUntil, paramLimit, paramCursor}
}

// timelineWindow is the window of a timeline that names none. An index serves a timeline, so a
// longer one is no slower.
const timelineWindow = "7d"

const usualEntries, maxEntries = 200, 500

// timelineView is the page of one envelope.
type timelineView struct {
	Envelope         string
	Tenant           string
	NoTenant         bool
	AnyTenant, Mixed bool // Mixed: the envelopes of all tenants that have this id
	Since, Until     string
	Windows          []navItem

	Drawing     *drawing
	Entries     []audit.TimelineEntry
	Window      audit.Window
	First, Next string
	Hint        *link
	HintText    string
}

// Rows are the entries as rows of a table.
func (v timelineView) Rows() []rowView {
	rows := make([]rowView, len(v.Entries))
	for i, entry := range v.Entries {
		rows[i] = rowView{Record: entry.Record, AllTenants: v.Mixed}
	}
	return rows
}

func (c *Console) timeline(ctx context.Context, v *visit) (view, error) {
	page := timelineView{Envelope: v.text(paramEnvelope), Tenant: v.text(paramTenant), NoTenant: v.has(paramNoTenant), AnyTenant: v.scope.IsAllTenants()}
	if len(v.values[paramEnvelope]) > 1 {
		return view{}, badParameter("envelope", "is given twice: a timeline is about one")
	}
	q := audit.TimelineQuery{EnvelopeID: page.Envelope, After: audit.Cursor(v.text(paramCursor))}
	var err error
	if q.Scope, err = v.narrowed(); err != nil {
		return view{}, err
	}
	if q.Window, page.Since, page.Until, err = v.window(timelineWindow, v.now); err != nil {
		return view{}, err
	}
	if q.Limit, err = v.number(paramLimit, usualEntries, maxEntries); err != nil {
		return view{}, err
	}
	page.Windows = v.windows("/timeline", page.Since, "24h", timelineWindow, "31d", everything)
	page.Mixed, page.Window = q.Scope.IsAllTenants(), q.Window
	if page.Envelope == "" {
		return view{Title: "Timeline", Data: page}, nil
	}
	found, err := c.config.Store.Timeline(ctx, q)
	if err != nil {
		return view{}, withFirstPage(ctx, err, v.with("/timeline", paramCursor, ""))
	}
	page.Entries = found.Entries
	if q.After != "" {
		page.First = v.with("/timeline", paramCursor, "")
	}
	if found.Next != "" {
		page.Next = v.with("/timeline", append(pinned(q.Window, page.Since, page.Until), paramCursor, string(found.Next))...)
	}
	if len(found.Entries) > 0 {
		page.Drawing = newDrawing(page.Envelope, found.Entries, found.Next != "")
	} else if q.After == "" {
		page.HintText, page.Hint = fmt.Sprintf("Nothing names this envelope in this window, in %s.", q.Scope), &link{"Look at all of its time", v.with("/timeline", paramSince, everything, paramUntil, "")}
		if q.Window == (audit.Window{}) {
			page.HintText, page.Hint = "Nothing in this scope names this envelope. Its id is exact: upper and lower case differ.", nil
		}
	}
	return view{Title: "Timeline " + clipTo(page.Envelope, 60), Data: page}, nil
}
