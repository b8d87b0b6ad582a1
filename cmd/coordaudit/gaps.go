package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

type gapsCommand struct {
	Window  windowFlags `embed:"" set:"bounded=Losses"`
	Limit   limitFlag   `embed:"" set:"listed=gaps"`
	Timeout timeoutFlag `embed:""`
	JSON    bool        `name:"json" help:"Print one JSON object: gaps, each also with the ids of the first and the last missing record."`
}

// Validate is called by kong.
func (c *gapsCommand) Validate() error { return together(c.Limit.Validate(), c.Timeout.Validate()) }

// Run is called by kong.
func (c *gapsCommand) Run(ctx context.Context, p *program, db *database) error {
	window, err := c.Window.window(time.Now())
	if err != nil {
		return err
	}
	const tried = "listing audit gaps"
	var gaps []audit.Gap
	err = c.Timeout.reading(ctx, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		gaps, err = store.Gaps(ctx, audit.GapQuery{Window: window, Limit: c.Limit.Limit})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.printJSON(tried, gapsObject(gaps))
	} else {
		err = p.print(gapsTable(gaps, painter(p.colourful())))
	}
	if err != nil {
		return err
	}
	if len(gaps) == c.Limit.Limit {
		// The last one comes again, and with it those that began with it.
		p.warn("there may be more: raise --limit, or add --until %s", timeText(gaps[len(gaps)-1].From.Add(time.Microsecond)))
	}
	return nil
}

// gapsJSON is what scripts depend on: keys are added to its end alone.
type gapsJSON struct {
	Gaps []gapJSON `json:"gaps"`
}

type gapJSON struct {
	GapID        uuid.UUID                     `json:"gap_id"`
	Dropped      map[audit.EnvelopeClass]int64 `json:"dropped"`
	Total        int64                         `json:"total"`
	FirstAuditID uuid.UUID                     `json:"first_audit_id"`
	LastAuditID  uuid.UUID                     `json:"last_audit_id"`
	From         string                        `json:"from"`
	Until        string                        `json:"until"`
	Cause        string                        `json:"cause"`
	RecordedAt   string                        `json:"recorded_at"`
}

func gapsObject(gaps []audit.Gap) gapsJSON {
	object := gapsJSON{Gaps: make([]gapJSON, len(gaps))}
	for i, gap := range gaps {
		object.Gaps[i] = gapJSON{
			GapID:        gap.GapID,
			Dropped:      orEmpty(gap.Dropped),
			Total:        gap.Total(),
			FirstAuditID: gap.FirstAuditID,
			LastAuditID:  gap.LastAuditID,
			From:         timeText(gap.From),
			Until:        timeText(gap.Until),
			Cause:        gap.Cause,
			RecordedAt:   timeText(gap.RecordedAt),
		}
	}
	return object
}

func gapsTable(gaps []audit.Gap, paint func(colour, text string) string) string {
	if len(gaps) == 0 {
		return "no gaps\n"
	}
	shown := table{columns: []column{
		textColumn("FROM (UTC)"), textColumn("UNTIL (UTC)"), numberColumn("DROPPED"), proseColumn("BY CLASS"), proseColumn("CAUSE"),
	}}
	for _, gap := range gaps {
		shown.add(
			plain(secondText(gap.From)), plain(secondText(gap.Until)),
			counted(gap.Total()), plain(byClass(gap.Dropped)), plain(gap.Cause))
	}
	return shown.text(paint)
}

// byClass has the classes that occur, in their order of priority.
func byClass(counts map[audit.EnvelopeClass]int64) string {
	var parts []string
	for _, class := range audit.EnvelopeClasses() {
		if n := counts[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", class, grouped(n)))
		}
	}
	return strings.Join(parts, ", ")
}
