package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

type timelineCommand struct {
	Envelope string      `arg:"" help:"The envelope's id."`
	Scope    scopeFlags  `embed:""`
	Window   windowFlags `embed:""`
	Page     pageFlags   `embed:""`
	Timeout  timeoutFlag `embed:""`
	JSON     bool        `name:"json" help:"Print one JSON object: envelope_id, records with the envelope's role, and next, the cursor of the page that follows."`
}

// Validate is called by kong.
func (c *timelineCommand) Validate() error {
	return together(c.Scope.Validate(), c.Page.Validate(), c.Timeout.Validate())
}

// Run is called by kong.
func (c *timelineCommand) Run(ctx context.Context, p *program, db *database) error {
	window, err := c.Window.window(time.Now())
	if err != nil {
		return err
	}
	q := audit.TimelineQuery{
		Scope:      c.Scope.scope(),
		EnvelopeID: c.Envelope,
		Window:     window,
		Limit:      c.Page.Limit,
		After:      audit.Cursor(c.Page.Cursor),
	}
	tried := fmt.Sprintf("reading the timeline of envelope %s for %s", folded(shortenID(c.Envelope, screenColumns)), q.Scope)
	var found audit.Timeline
	err = c.Timeout.reading(ctx, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		found, err = store.Timeline(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = c.printObject(p, tried, found)
	} else {
		err = p.print(timelineText(q, found.Entries, painter(p.colourful())))
	}
	if err != nil {
		return err
	}
	sayNext(p, c.Window, q.Window, found.Next, c.JSON)
	return nil
}

func (c *timelineCommand) printObject(p *program, tried string, found audit.Timeline) error {
	result := struct {
		EnvelopeID string            `json:"envelope_id"`
		Records    []json.RawMessage `json:"records"`
		Next       audit.Cursor      `json:"next"`
	}{c.Envelope, make([]json.RawMessage, len(found.Entries)), found.Next}
	for i, entry := range found.Entries {
		object, err := recordObject(entry.Record, struct {
			Role audit.Role `json:"role"`
		}{entry.Role})
		if err != nil {
			return &failure{tried: tried, cause: err}
		}
		result.Records[i] = object
	}
	return p.printJSON(tried, result)
}
