package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

type listCommand struct {
	Scope       scopeFlags  `embed:""`
	Window      windowFlags `embed:""`
	Envelope    []string    `sep:"none" placeholder:"ID" help:"Decisions about this envelope. Repeat it for several."`
	Class       []string    `placeholder:"CLASS" help:"Envelopes of this class, in any case. Repeat it for several."`
	Decision    []string    `placeholder:"DECISION" help:"Only these decisions, in any case. Repeat it for several."`
	Conflicting *string     `placeholder:"ID" help:"Records in which this envelope stood in the way."`
	Preempting  *string     `placeholder:"ID" help:"Records in which this envelope took the place of another."`
	Subsystem   *string     `placeholder:"NAME" help:"Records that state this target subsystem."`
	Parameter   *string     `placeholder:"NAME" help:"Records that state this target parameter."`
	Reason      *string     `placeholder:"TEXT" help:"Records whose reason contains this text, letter by letter. No index helps with it."`
	OldestFirst bool        `help:"Show the oldest first. Without it the newest come first."`
	Page        pageFlags   `embed:""`
	IDs         bool        `name:"ids" help:"Show audit ids in place of reasons."`
	Timeout     timeoutFlag `embed:""`
	JSON        bool        `name:"json" help:"Print one JSON object: records, and next, the cursor of the page that follows."`
}

// Validate is called by kong. A filter that is empty would let all records pass,
// which nobody means who sets it.
func (c *listCommand) Validate() error {
	errs := []error{c.Scope.Validate(), c.Page.Validate(), c.Timeout.Validate()}
	for _, filter := range []struct {
		flag  string
		value *string
	}{
		{"--conflicting", c.Conflicting},
		{"--preempting", c.Preempting},
		{"--subsystem", c.Subsystem},
		{"--parameter", c.Parameter},
		{"--reason", c.Reason},
	} {
		if filter.value != nil && *filter.value == "" {
			errs = append(errs, fmt.Errorf("%s is empty; leave it out to see all records", filter.flag))
		}
	}
	return together(errs...)
}

// Run is called by kong.
func (c *listCommand) Run(ctx context.Context, p *program, db *database) error {
	q, err := c.query(time.Now())
	if err != nil {
		return err
	}
	tried := fmt.Sprintf("listing audit records for %s", q.Scope)
	var page audit.Page
	err = c.Timeout.reading(ctx, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		page, err = store.List(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = c.printObject(p, tried, page)
	} else {
		err = p.print(recordsTable(page.Records, q.Scope, c.IDs, painter(p.colourful())))
	}
	if err != nil {
		return err
	}
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
		return audit.Query{}, usage("reading the filters", err, "see coordaudit list --help")
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
			return nil, fmt.Errorf("%s %s", flag, faultsOf(err)[0].Reason)
		}
		words[i] = word
	}
	return words, nil
}

func (c *listCommand) printObject(p *program, tried string, page audit.Page) error {
	result := struct {
		Records []json.RawMessage `json:"records"`
		Next    audit.Cursor      `json:"next"`
	}{make([]json.RawMessage, len(page.Records)), page.Next}
	for i, rec := range page.Records {
		object, err := recordObject(rec)
		if err != nil {
			return &failure{tried: tried, cause: err}
		}
		result.Records[i] = object
	}
	return p.printJSON(tried, result)
}

// recordsTable shows whose a record is only where that is not the same for all.
func recordsTable(records []audit.Record, scope audit.Scope, ids bool, paint func(colour, text string) string) string {
	if len(records) == 0 {
		return "no records\n"
	}
	all := scope.IsAllTenants()
	shown := table{columns: []column{textColumn("TIME (UTC)")}}
	if all {
		shown.columns = append(shown.columns, idColumn("TENANT"))
	}
	shown.columns = append(shown.columns, textColumn("CLASS"), textColumn("DECISION"), idColumn("ENVELOPE"))
	if ids {
		shown.columns = append(shown.columns, textColumn("AUDIT ID"))
	} else {
		shown.columns = append(shown.columns, proseColumn("REASON"))
	}
	for _, rec := range records {
		row := []cell{plain(secondText(rec.DecisionTimestamp))}
		if all {
			row = append(row, plain(orNone(rec.TenantID)))
		}
		row = append(row,
			classCell(rec.EnvelopeClass),
			cell{string(rec.Decision), decisionColour(rec.Decision)},
			plain(rec.EnvelopeID))
		if ids {
			row = append(row, plain(rec.AuditID.String()))
		} else {
			row = append(row, plain(rec.Reason))
		}
		shown.add(row...)
	}
	return shown.text(paint)
}
