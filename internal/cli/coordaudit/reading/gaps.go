package reading

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Gaps is the command gaps.
type Gaps struct {
	Window  shared.WindowFlags `embed:"" set:"bounded=Losses"`
	Limit   shared.LimitFlag   `embed:"" set:"listed=gaps"`
	Timeout shared.TimeoutFlag `embed:""`
	Wide    shared.WideFlag    `embed:""`
	JSON    bool               `name:"json" help:"Print one JSON object with gaps, each with the ids of its first and last missing record."`
}

// Validate is called by kong.
func (c *Gaps) Validate() error {
	return shared.Together(c.Limit.Validate(), c.Timeout.Validate())
}

// Run is called by kong.
func (c *Gaps) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	now := time.Now()
	window, err := c.Window.Window(now)
	if err != nil {
		return err
	}
	const tried = "listing audit gaps"
	var gaps []audit.Gap
	var hint string
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		gaps, err = store.Gaps(ctx, audit.GapQuery{Window: window, Limit: c.Limit.Limit})
		if err == nil && len(gaps) == 0 {
			hint = shared.GapsOutside(ctx, store, window, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.PrintJSON(tried, gapsObject(gaps))
	} else {
		err = p.Page(GapsTable(gaps, p.Screen(c.Wide.Wide)))
	}
	if err != nil {
		return err
	}
	p.Hint(hint)
	if len(gaps) == c.Limit.Limit {
		// The last gap comes again, and with it those that began at the same time.
		until := gaps[len(gaps)-1].From.Add(time.Microsecond)
		if year := until.Year(); year < 1 || year > 9999 { // only a row made by hand has it, and a bound may not
			p.Warn("there may be more: raise --limit")
			return nil
		}
		p.Warn("there may be more: raise --limit, or add --until %s", format.Time(until))
	}
	return nil
}

// GapsJSON is what scripts depend on. Keys are only added, at its end.
type GapsJSON struct {
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

func gapsObject(gaps []audit.Gap) GapsJSON {
	object := GapsJSON{Gaps: make([]gapJSON, len(gaps))}
	for i, gap := range gaps {
		object.Gaps[i] = gapJSON{
			GapID:        gap.GapID,
			Dropped:      shared.OrEmpty(gap.Dropped),
			Total:        gap.Total(),
			FirstAuditID: gap.FirstAuditID,
			LastAuditID:  gap.LastAuditID,
			From:         format.Time(gap.From),
			Until:        format.Time(gap.Until),
			Cause:        gap.Cause,
			RecordedAt:   format.Time(gap.RecordedAt),
		}
	}
	return object
}

// GapsTable shows gaps, one a line.
func GapsTable(gaps []audit.Gap, on term.Screen) string {
	if len(gaps) == 0 {
		return "no gaps\n"
	}
	shown := term.Table{Columns: []term.Column{
		term.TextColumn("FROM (UTC)"), term.TextColumn("UNTIL (UTC)"), term.NumberColumn("DROPPED"), term.ProseColumn("BY CLASS"), term.ProseColumn("CAUSE"),
	}}
	for _, gap := range gaps {
		shown.Add(
			term.Plain(format.Second(gap.From)), term.Plain(format.Second(gap.Until)),
			term.Count(gap.Total()), term.Plain(shared.ByClass(gap.Dropped)), term.Plain(gap.Cause))
	}
	return shown.Text(on)
}
