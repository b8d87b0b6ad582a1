package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

type reportCommand struct {
	Out     string      `required:"" placeholder:"FILE" help:"The HTML file to make, or - for the standard output. One of that name is replaced."`
	Scope   scopeFlags  `embed:""`
	Window  weekFlags   `embed:"" set:"since_note= Defaults to 7d; an empty one is an open bound."`
	Latest  int         `default:"200" help:"The latest records to list, 1 to ${max_page_size}."`
	Timeout timeoutFlag `embed:""`
}

// Validate is called by kong.
func (c *reportCommand) Validate() error {
	errs := []error{c.Scope.Validate(), c.Timeout.Validate()}
	if c.Out == "" {
		errs = append(errs, errors.New("--out is empty; give a path, or - for the standard output"))
	}
	if c.Latest < 1 || c.Latest > audit.MaxPageSize {
		errs = append(errs, fmt.Errorf("--latest must be 1 to %d", audit.MaxPageSize))
	}
	return together(errs...)
}

// Run is called by kong.
func (c *reportCommand) Run(ctx context.Context, p *program, db *database) error {
	made := time.Now()
	window, err := c.Window.window(made)
	if err != nil {
		return err
	}
	// A matrix and a bar say themselves how much stands behind them, so they are
	// shown whole.
	query := audit.SignalQuery{Scope: c.Scope.scope(), Window: window, MinRecords: 1, MinConflicts: 1, MaxEvidence: 1}
	out, err := newOutput(c.Out, p.stdout)
	if err != nil {
		return c.unwritten(err)
	}
	defer out.discard()
	var data report.Data
	tried := fmt.Sprintf("reporting on the audit records for %s", query.Scope)
	err = c.Timeout.reading(ctx, db, tried, func(ctx context.Context, store *coordaudit.Store) (err error) {
		data, err = collectReport(ctx, store, query, made, c.Latest)
		return err
	})
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return report.Write(out, data) },
		out.complete,
		out.publish,
	} {
		if err := step(); err != nil {
			return c.unwritten(err)
		}
	}
	p.warn("reported on %s for %s, %s, to %s in %.1f s",
		plural(data.Breakdown.Total, "record"), query.Scope, windowText(window), outputName(c.Out), time.Since(made).Seconds())
	return nil
}

func (c *reportCommand) unwritten(err error) error {
	return &failure{tried: "writing the report to " + outputName(c.Out), cause: err, next: "name another file, or use - and a redirection"}
}
