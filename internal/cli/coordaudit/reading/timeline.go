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

// Timeline is the command timeline.
type Timeline struct {
	Envelope string             `arg:"" help:"The id of the envelope."`
	Scope    shared.ScopeFlags  `embed:""`
	Window   shared.WindowFlags `embed:""`
	Page     shared.PageFlags   `embed:""`
	Timeout  shared.TimeoutFlag `embed:""`
	Wide     shared.WideFlag    `embed:""`
	JSON     bool               `name:"json" help:"Print one JSON object with envelope_id, records with the role of the envelope in each, and next, the cursor of the next page."`
}

// Validate is called by kong.
func (c *Timeline) Validate() error {
	return shared.Together(c.Scope.Validate(), c.Page.Validate(), c.Timeout.Validate())
}

// Run is called by kong.
func (c *Timeline) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	now := time.Now()
	window, err := c.Window.Window(now)
	if err != nil {
		return err
	}
	q := audit.TimelineQuery{
		Scope:      c.Scope.Scope(),
		EnvelopeID: c.Envelope,
		Window:     window,
		Limit:      c.Page.Limit,
		After:      audit.Cursor(c.Page.Cursor),
	}
	tried := fmt.Sprintf("reading the timeline of envelope %s for %s", format.Folded(c.Envelope), q.Scope)
	var found audit.Timeline
	var hint string
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		if found, err = store.Timeline(ctx, q); err == nil && len(found.Entries) == 0 {
			hint = shared.Outside(ctx, store, q.Scope, window, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = c.printObject(p, tried, found)
	} else {
		err = p.Page(term.Timeline(q, found.Entries, p.Screen(c.Wide.Wide)))
	}
	if err != nil {
		return err
	}
	p.Hint(hint)
	shared.SayNext(p, c.Window, q.Window, found.Next, c.JSON)
	return nil
}

func (c *Timeline) printObject(p *cli.Program, tried string, found audit.Timeline) error {
	result := struct {
		EnvelopeID string            `json:"envelope_id"`
		Records    []json.RawMessage `json:"records"`
		Next       audit.Cursor      `json:"next"`
	}{c.Envelope, make([]json.RawMessage, len(found.Entries)), found.Next}
	for i, entry := range found.Entries {
		object, err := shared.RecordObject(entry.Record, struct {
			Role audit.Role `json:"role"`
		}{entry.Role})
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: err}
		}
		result.Records[i] = object
	}
	return p.PrintJSON(tried, result)
}
