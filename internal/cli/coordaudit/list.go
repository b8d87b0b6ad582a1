package coordaudit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type listCommand struct {
	Scope       scopeFlags   `embed:""`
	Window      windowFlags  `embed:""`
	Envelope    []string     `sep:"none" placeholder:"ID" help:"Only decisions about this envelope. May be repeated."`
	Class       []string     `placeholder:"CLASS" help:"Only envelopes of this class, in upper or lower case. May be repeated."`
	Decision    []string     `placeholder:"DECISION" help:"Only this decision, in upper or lower case. May be repeated."`
	Conflicting *string      `placeholder:"ID" help:"Only records in which this envelope stood in the way of the rejected one."`
	Preempting  *string      `placeholder:"ID" help:"Only records in which this envelope is the preemptor."`
	Subsystem   *string      `placeholder:"NAME" help:"Only records that state this target subsystem."`
	Parameter   *string      `placeholder:"NAME" help:"Only records that state this target parameter."`
	Reason      *string      `placeholder:"TEXT" help:"Only records whose reason contains exactly this text. No index speeds this up."`
	Context     contextFlags `embed:""`
	OldestFirst bool         `help:"Show the oldest first. By default the newest come first."`
	Page        pageFlags    `embed:""`
	IDs         bool         `name:"ids" help:"Show audit ids instead of reasons."`
	Timeout     timeoutFlag  `embed:""`
	Wide        wideFlag     `embed:""`
	JSON        bool         `name:"json" help:"Print one JSON object with records, and next, the cursor of the next page."`
}

// Validate is called by kong. An empty filter would let all records pass, which is not what
// the user means.
func (c *listCommand) Validate() error {
	errs := []error{c.Scope.Validate(), c.Page.Validate(), c.Timeout.Validate()}
	errs = append(errs, emptyFilters([]filterFlag{
		{"--conflicting", c.Conflicting},
		{"--preempting", c.Preempting},
		{"--subsystem", c.Subsystem},
		{"--parameter", c.Parameter},
		{"--reason", c.Reason},
	})...)
	errs = append(errs, emptyFilters(c.Context.flags())...)
	return together(errs...)
}

// Run is called by kong.
func (c *listCommand) Run(ctx context.Context, p *cli.Program, db *database) error {
	now := time.Now()
	q, err := c.query(now)
	if err != nil {
		return err
	}
	tried := fmt.Sprintf("listing audit records for %s", q.Scope)
	var page audit.Page
	var hint string
	err = c.Timeout.reading(ctx, p, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		if page, err = store.List(ctx, q); err == nil && len(page.Records) == 0 {
			hint = outside(ctx, store, q.Scope, q.Window, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = c.printObject(p, tried, page)
	} else {
		err = p.Print(recordsTable(page.Records, q.Scope, c.IDs, p.Screen(c.Wide.Wide)))
	}
	if err != nil {
		return err
	}
	p.Hint(hint)
	sayNext(p, c.Window, q.Window, page.Next, c.JSON)
	return nil
}

func (c *listCommand) query(now time.Time) (audit.Query, error) {
	window, err := c.Window.window(now)
	if err != nil {
		return audit.Query{}, err
	}
	classes, classErr := parseWords("--class", c.Class, audit.ParseEnvelopeClass)
	decisions, decisionErr := parseWords("--decision", c.Decision, audit.ParseDecision)
	if err := together(classErr, decisionErr); err != nil {
		return audit.Query{}, cli.Usage("reading the filters", err, "see coordaudit list --help")
	}
	q := audit.Query{
		Scope:                 c.Scope.scope(),
		Window:                window,
		EnvelopeIDs:           c.Envelope,
		EnvelopeClasses:       classes,
		Decisions:             decisions,
		ConflictingEnvelopeID: textOf(c.Conflicting),
		PreemptingEnvelopeID:  textOf(c.Preempting),
		TargetSubsystem:       textOf(c.Subsystem),
		TargetParameter:       textOf(c.Parameter),
		ReasonContains:        textOf(c.Reason),
		Limit:                 c.Page.Limit,
		After:                 audit.Cursor(c.Page.Cursor),
	}
	if c.OldestFirst {
		q.Order = audit.OldestFirst
	}
	if err := c.Context.filter(&q); err != nil {
		return audit.Query{}, cli.Usage("reading the filters", err, "see coordaudit list --help")
	}
	return q, nil
}

func textOf(flag *string) string {
	if flag == nil {
		return ""
	}
	return *flag
}

// parseWords reads the values of a flag that may be repeated.
func parseWords[T any](flag string, texts []string, parse func(text string) (T, error)) ([]T, error) {
	words := make([]T, len(texts))
	for i, text := range texts {
		word, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s %s", flag, format.FaultsOf(err)[0].Reason)
		}
		words[i] = word
	}
	return words, nil
}

func (c *listCommand) printObject(p *cli.Program, tried string, page audit.Page) error {
	result := struct {
		Records []json.RawMessage `json:"records"`
		Next    audit.Cursor      `json:"next"`
	}{make([]json.RawMessage, len(page.Records)), page.Next}
	for i, rec := range page.Records {
		object, err := recordObject(rec)
		if err != nil {
			return &cli.ShownError{Tried: tried, Cause: err}
		}
		result.Records[i] = object
	}
	return p.PrintJSON(tried, result)
}

// recordsTable shows the tenant only if it may differ between the records.
func recordsTable(records []audit.Record, scope audit.Scope, ids bool, on term.Screen) string {
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
