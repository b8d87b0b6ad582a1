package reading

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Completeness is the command completeness.
type Completeness struct {
	Window  shared.WindowFlags `embed:"" set:"bounded=Sources that were at work"`
	All     bool               `help:"Also list the sources that are complete and closed. --json always has them."`
	Timeout shared.TimeoutFlag `embed:""`
	Wide    shared.WideFlag    `embed:""`
	JSON    bool               `name:"json" help:"Print one JSON object with the account of every source."`
}

// Help is shown below the command's usage.
func (c *Completeness) Help() string {
	return "A source is one run of a Recorder, or one import. It numbers its records, and its statements say how far it has counted. " +
		"This command reads the whole table once. It needs SELECT on the records and on the statements.\n\n" +
		"Exit status: 0 complete, 1 if an ordinal is unexplained, a finding contradicts a statement, or the command failed, 2 wrong usage."
}

// Validate is called by kong.
func (c *Completeness) Validate() error { return c.Timeout.Validate() }

// Run is called by kong.
func (c *Completeness) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	window, err := c.Window.Window(time.Now())
	if err != nil {
		return err
	}
	const tried = "accounting for the audit records"
	var found audit.Completeness
	err = c.Timeout.Reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		found, err = store.Completeness(ctx, audit.CompletenessQuery{Window: window})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = p.PrintJSON(tried, completenessObject(window, found))
	} else {
		err = p.Page(CompletenessText(window, found, c.All, p.Screen(c.Wide.Wide)))
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

// CompletenessJSON is what scripts depend on. Keys are only added, at its end.
type CompletenessJSON struct {
	Complete   bool                `json:"complete"`
	At         string              `json:"at"`
	Window     shared.WindowJSON   `json:"window"`
	Unnumbered int64               `json:"unnumbered"`
	Sources    []SourceAccountJSON `json:"sources"`
}

// SourceAccountJSON is the account of one source.
type SourceAccountJSON struct {
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
	Unexplained      []OrdinalRangeJSON `json:"unexplained"`
	Findings         []FindingJSON      `json:"findings"`
	Expired          int64              `json:"expired"`
}

// OrdinalRangeJSON is a range of ordinals that share a fate.
type OrdinalRangeJSON struct {
	First  int64   `json:"first"`
	Last   int64   `json:"last"`
	After  *string `json:"after"`
	Before *string `json:"before"`
}

// FindingJSON is what contradicts the statements.
type FindingJSON struct {
	Kind  string `json:"kind"`
	First int64  `json:"first"`
	Last  int64  `json:"last"`
}

// completenessObject leaves out nothing. Only a time that no statement tells is null.
func completenessObject(window audit.Window, found audit.Completeness) CompletenessJSON {
	object := CompletenessJSON{
		Complete:   found.Complete(),
		At:         format.Time(found.At),
		Window:     shared.WindowObject(window),
		Unnumbered: found.Unnumbered,
		Sources:    make([]SourceAccountJSON, len(found.Sources)),
	}
	for i, source := range found.Sources {
		object.Sources[i] = sourceAccountObject(source)
	}
	return object
}

func sourceAccountObject(source audit.SourceAccount) SourceAccountJSON {
	object := SourceAccountJSON{
		SourceID:         source.SourceID,
		Label:            source.Label,
		OpenedAt:         shared.TimeOrNull(source.OpenedAt),
		LastStatementAt:  shared.TimeOrNull(source.LastStatementAt),
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
		Unexplained:      make([]OrdinalRangeJSON, len(source.Unexplained)),
		Findings:         make([]FindingJSON, len(source.Findings)),
		Expired:          source.Explained.Expired,
	}
	for i, r := range source.Unexplained {
		object.Unexplained[i] = OrdinalRangeJSON{First: r.First, Last: r.Last, After: shared.TimeOrNull(r.After), Before: shared.TimeOrNull(r.Before)}
	}
	for i, f := range source.Findings {
		object.Findings[i] = FindingJSON{Kind: strings.ReplaceAll(string(f.Kind), " ", "_"), First: f.First, Last: f.Last}
	}
	return object
}
