// Package reading has the commands that read the trail and print what they find.
package reading

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// List is the command list.
type List struct {
	Scope       shared.ScopeFlags  `embed:""`
	Window      shared.WindowFlags `embed:""`
	Filters     shared.FilterFlags `embed:""`
	OldestFirst bool               `help:"Show the oldest first. By default the newest come first."`
	Page        shared.PageFlags   `embed:""`
	IDs         bool               `name:"ids" help:"Show audit ids instead of reasons."`
	Timeout     shared.TimeoutFlag `embed:""`
	Wide        shared.WideFlag    `embed:""`
	JSON        bool               `name:"json" help:"Print one JSON object with records, and next, the cursor of the next page."`
}

// Validate is called by kong.
func (c *List) Validate() error {
	return shared.Together(c.Scope.Validate(), c.Page.Validate(), c.Timeout.Validate(), c.Filters.Validate())
}

// Run is called by kong.
func (c *List) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	now := time.Now()
	q, err := c.query(now)
	if err != nil {
		return err
	}
	tried := fmt.Sprintf("listing audit records for %s", q.Scope)
	var page audit.Page
	var hint string
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		if page, err = store.List(ctx, q); err == nil && len(page.Records) == 0 {
			hint = shared.Outside(ctx, store, q.Scope, q.Window, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = c.printObject(p, tried, page)
	} else {
		err = p.Page(RecordsTable(page.Records, q.Scope, c.IDs, p.Screen(c.Wide.Wide)))
	}
	if err != nil {
		return err
	}
	p.Hint(hint)
	shared.SayNext(p, c.Window, q.Window, page.Next, c.JSON)
	return nil
}

func (c *List) query(now time.Time) (audit.Query, error) {
	window, err := c.Window.Window(now)
	if err != nil {
		return audit.Query{}, err
	}
	q := audit.Query{Scope: c.Scope.Scope(), Window: window, Limit: c.Page.Limit, After: audit.Cursor(c.Page.Cursor)}
	if c.OldestFirst {
		q.Order = audit.OldestFirst
	}
	return q, c.Filters.Set(&q)
}

func (c *List) printObject(p *cli.Program, tried string, page audit.Page) error {
	result := struct {
		Records []json.RawMessage `json:"records"`
		Next    audit.Cursor      `json:"next"`
	}{make([]json.RawMessage, len(page.Records)), page.Next}
	for i, rec := range page.Records {
		object, err := shared.RecordObject(rec)
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: err}
		}
		result.Records[i] = object
	}
	return p.PrintJSON(tried, result)
}

// RecordsTable shows the tenant only if it may differ between the records.
func RecordsTable(records []audit.Record, scope audit.Scope, ids bool, on term.Screen) string {
	if len(records) == 0 {
		return "no records\n"
	}
	all := scope.IsAllTenants()
	shown := term.Table{Columns: []term.Column{term.TextColumn("TIME (UTC)")}}
	if all {
		shown.Columns = append(shown.Columns, term.IDColumn("TENANT"))
	}
	shown.Columns = append(shown.Columns, term.TextColumn("CLASS"), term.TextColumn("DECISION"), term.IDColumn("ENVELOPE"))
	if ids {
		shown.Columns = append(shown.Columns, term.TextColumn("AUDIT ID"))
	} else {
		shown.Columns = append(shown.Columns, term.ProseColumn("REASON"))
	}
	for _, rec := range records {
		row := []term.Cell{term.Plain(format.Second(rec.DecisionTimestamp))}
		if all {
			row = append(row, term.Plain(format.OrNone(rec.TenantID)))
		}
		row = append(row,
			term.ClassCell(rec.EnvelopeClass),
			term.DecisionCell(rec.Decision),
			term.Plain(rec.EnvelopeID))
		if ids {
			row = append(row, term.Plain(rec.AuditID.String()))
		} else {
			row = append(row, term.Plain(reasonText(rec)))
		}
		shown.Add(row...)
	}
	return shown.Text(on)
}

// reasonText is the reason, after its code if the record states one. Most trails have few
// codes, so the code comes first, where it is not cut.
func reasonText(rec audit.Record) string {
	if rec.ReasonCode == "" {
		return rec.Reason
	}
	return rec.ReasonCode + ": " + rec.Reason
}
