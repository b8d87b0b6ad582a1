// Package reporting has the command report. It collects what internal/report draws.
package reporting

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// Report is the command report.
type Report struct {
	Out      string             `required:"" placeholder:"FILE" help:"The HTML file to write, or - for the standard output. A file of that name is replaced."`
	Scope    shared.ScopeFlags  `embed:""`
	Window   shared.WeekFlags   `embed:"" set:"since_note= Defaults to 7d. An empty value is an open bound."`
	Latest   int                `default:"200" help:"How many of the latest records to list, 1 to ${max_page_size}."`
	Exported exportedFlags      `embed:""`
	Timeout  shared.TimeoutFlag `embed:""`
}

// Help is shown below the command's usage.
func (c *Report) Help() string {
	return "With --checkpoint it also says whether the stored log has the root of an exported checkpoint. That reads no rows but the last few: coordaudit verify compares each one.\n\n" +
		"Exit status: 0 the report is written, 1 the command failed, or the log differs from the checkpoint, 2 wrong usage."
}

// Validate is called by kong.
func (c *Report) Validate() error {
	errs := []error{c.Scope.Validate(), c.Exported.Validate(), c.Timeout.Validate()}
	if c.Out == "" {
		errs = append(errs, errors.New("--out is empty; give a path, or - for the standard output"))
	}
	if c.Latest < 1 || c.Latest > audit.MaxPageSize {
		errs = append(errs, fmt.Errorf("--latest must be 1 to %d", audit.MaxPageSize))
	}
	return shared.Together(errs...)
}

// Run is called by kong.
func (c *Report) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	made := time.Now()
	window, err := c.Window.Window(made)
	if err != nil {
		return err
	}
	if window.Until.IsZero() { // "until now" is a time: later decisions do not belong to the report
		window.Until = audit.Window{Until: made}.Normalized().Until
	}
	// A matrix and a bar show by themselves how much they rest on, so there is no minimum.
	query := audit.SignalQuery{Scope: c.Scope.Scope(), Window: window, MinRecords: 1, MinConflicts: 1, MaxEvidence: 1}
	tried := fmt.Sprintf("reporting on the audit records for %s", query.Scope)
	if err := query.Validate(); err != nil {
		return shared.ReadFailed(tried, err)
	}
	exported, err := c.Exported.load(ctx, tried)
	if err != nil {
		return err
	}
	if err := p.MustHaveStdout("writing the report", c.Out); err != nil {
		return err
	}
	out, err := jsonl.NewOutput(c.Out, jsonl.Report, p.Stdout)
	if err != nil {
		return c.unwritten(err)
	}
	defer out.Discard()
	collector := &Collector{
		DB: db, Query: query, Made: made, Latest: c.Latest, Exported: exported, Tried: tried,
		Step: func(doing string) { p.Step(tried + ": " + doing) },
	}
	var data report.Data
	var hint string
	err = c.Timeout.Bounded(ctx, p, tried, func(ctx context.Context) (err error) {
		data, hint, err = collector.Collect(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return report.Write(out, data) },
		out.Complete,
		out.Publish,
	} {
		if err := step(); err != nil {
			return c.unwritten(err)
		}
	}
	p.Hint(hint)
	differs := warnOfSealing(p, data.Sealing)
	p.Warn("reported on %s for %s, %s, to %s in %.1f s",
		format.Plural(data.Breakdown.Total, "record"), query.Scope, format.Window(window), jsonl.OutputName(c.Out), time.Since(made).Seconds())
	if differs {
		return cli.ErrReported
	}
	return nil
}

func (c *Report) unwritten(err error) error {
	return &cli.ShownError{Tried: "writing the report to " + jsonl.OutputName(c.Out), Cause: err, Next: "name another file, or use - and a redirection"}
}
