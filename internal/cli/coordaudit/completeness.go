package coordaudit

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type completenessCommand struct {
	Window  windowFlags `embed:"" set:"bounded=Sources that were at work"`
	All     bool        `help:"Also list the sources that are complete and closed. --json always has them."`
	Timeout timeoutFlag `embed:""`
	Wide    wideFlag    `embed:""`
	JSON    bool        `name:"json" help:"Print one JSON object with the account of every source."`
}

// Help is shown below the command's usage.
func (c *completenessCommand) Help() string {
	return "A source is one run of a Recorder, or one import. It numbers its records, and its statements say how far it has counted. " +
		"This command reads the whole table once. It needs SELECT on the records and on the statements.\n\n" +
		"Exit status: 0 complete, 1 if an ordinal is unexplained, a finding contradicts a statement, or the command failed, 2 wrong usage."
}

// Validate is called by kong.
func (c *completenessCommand) Validate() error { return c.Timeout.Validate() }

// Run is called by kong.
func (c *completenessCommand) Run(ctx context.Context, p *cli.Program, db *database) error {
	window, err := c.Window.window(time.Now())
	if err != nil {
		return err
	}
	const tried = "accounting for the audit records"
	var found audit.Completeness
	err = c.Timeout.reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		found, err = store.Completeness(ctx, audit.CompletenessQuery{Window: window})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.PrintJSON(tried, completenessObject(window, found))
	} else {
		err = p.Print(completenessText(window, found, c.All, p.Screen(c.Wide.Wide)))
	}
	if err != nil {
		return err
	}
	if bounded := !window.Since.IsZero() || !window.Until.IsZero(); bounded && len(found.Sources) == 0 {
		p.Hint("no source was at work in this window (" + format.Window(window) + "): look further back with --since, or leave the window out")
	}
	if !found.Complete() {
		return cli.ErrReported
	}
	return nil
}

// completenessJSON is what scripts depend on. Keys are only added, at its end.
type completenessJSON struct {
	Complete   bool                `json:"complete"`
	At         string              `json:"at"`
	Window     windowJSON          `json:"window"`
	Unnumbered int64               `json:"unnumbered"`
	Sources    []sourceAccountJSON `json:"sources"`
}

type sourceAccountJSON struct {
	SourceID         uuid.UUID          `json:"source_id"`
	Label            string             `json:"label"`
	OpenedAt         *string            `json:"opened_at"`
	LastStatementAt  *string            `json:"last_statement_at"`
	Closed           bool               `json:"closed"`
	Imported         bool               `json:"imported"`
	AcceptedThrough  int64              `json:"accepted_through"`
	ReservedThrough  int64              `json:"reserved_through"`
	Present          int64              `json:"present"`
	Dropped          int64              `json:"dropped"`
	Rejected         int64              `json:"rejected"`
	AlreadyPersisted int64              `json:"already_persisted"`
	Waiting          int64              `json:"waiting"`
	LastBlock        int64              `json:"last_block"`
	UnexplainedTotal int64              `json:"unexplained_total"`
	Unexplained      []ordinalRangeJSON `json:"unexplained"`
	Findings         []findingJSON      `json:"findings"`
	Expired          int64              `json:"expired"`
}

type ordinalRangeJSON struct {
	First  int64   `json:"first"`
	Last   int64   `json:"last"`
	After  *string `json:"after"`
	Before *string `json:"before"`
}

type findingJSON struct {
	Kind  string `json:"kind"`
	First int64  `json:"first"`
	Last  int64  `json:"last"`
}

// completenessObject leaves out nothing. Only a time that no statement tells is null.
func completenessObject(window audit.Window, found audit.Completeness) completenessJSON {
	object := completenessJSON{
		Complete:   found.Complete(),
		At:         format.Time(found.At),
		Window:     windowObject(window),
		Unnumbered: found.Unnumbered,
		Sources:    make([]sourceAccountJSON, len(found.Sources)),
	}
	for i, source := range found.Sources {
		object.Sources[i] = sourceAccountObject(source)
	}
	return object
}

func sourceAccountObject(source audit.SourceAccount) sourceAccountJSON {
	object := sourceAccountJSON{
		SourceID:         source.SourceID,
		Label:            source.Label,
		OpenedAt:         timeOrNull(source.OpenedAt),
		LastStatementAt:  timeOrNull(source.LastStatementAt),
		Closed:           source.Closed,
		Imported:         source.Imported,
		AcceptedThrough:  source.AcceptedThrough,
		ReservedThrough:  source.ReservedThrough,
		Present:          source.Present,
		Dropped:          source.Explained.Dropped,
		Rejected:         source.Explained.Rejected,
		AlreadyPersisted: source.Explained.AlreadyPersisted,
		Waiting:          source.Waiting,
		LastBlock:        source.LastBlock,
		UnexplainedTotal: source.UnexplainedTotal(),
		Unexplained:      make([]ordinalRangeJSON, len(source.Unexplained)),
		Findings:         make([]findingJSON, len(source.Findings)),
		Expired:          source.Explained.Expired,
	}
	for i, r := range source.Unexplained {
		object.Unexplained[i] = ordinalRangeJSON{First: r.First, Last: r.Last, After: timeOrNull(r.After), Before: timeOrNull(r.Before)}
	}
	for i, f := range source.Findings {
		object.Findings[i] = findingJSON{Kind: strings.ReplaceAll(string(f.Kind), " ", "_"), First: f.First, Last: f.Last}
	}
	return object
}
