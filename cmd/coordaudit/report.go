package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
	out, err := c.begin(p.stdout)
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
	if err := report.Write(out, data); err != nil {
		return c.unwritten(err)
	}
	if err := out.finish(); err != nil {
		return c.unwritten(err)
	}
	p.warn("reported on %s for %s, %s, to %s in %.1f s",
		plural(data.Breakdown.Total, "record"), query.Scope, windowText(window), c.outName(), time.Since(made).Seconds())
	return nil
}

func (c *reportCommand) outName() string {
	if c.Out == "-" {
		return "the standard output"
	}
	return c.Out
}

func (c *reportCommand) unwritten(err error) error {
	return &failure{tried: "writing the report to " + c.outName(), cause: err, next: "name another file, or use - and a redirection"}
}

// reportTarget is where a report goes.
type reportTarget struct {
	io.Writer
	finish  func() error
	discard func()
}

// begin makes the file, so that one that cannot be is known of before the
// database is asked.
func (c *reportCommand) begin(stdout io.Writer) (reportTarget, error) {
	if c.Out == "-" {
		out := bufio.NewWriterSize(stdout, 1<<16)
		return reportTarget{Writer: out, finish: out.Flush, discard: func() {}}, nil
	}
	file, err := newWholeFile(c.Out)
	if err != nil {
		return reportTarget{}, err
	}
	finish := func() error {
		if err := file.complete(); err != nil {
			return err
		}
		return file.publish()
	}
	return reportTarget{Writer: file, finish: finish, discard: file.discard}, nil
}
