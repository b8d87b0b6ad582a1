package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// compareCommand measures every contender and writes the results.
type compareCommand struct {
	Records     []int         `default:"0,1000000,20000000" help:"The number of records in the table at the start of each run."`
	Turn        time.Duration `default:"300ms" help:"The length of one turn."`
	Rounds      int           `default:"9" help:"The number of turns per contender."`
	Connections int           `default:"8" help:"The pool size of each contender."`
	Only        []string      `sep:"none" help:"Measure only this work, of all contenders, and replace it in the results of the last run. Repeat the flag for several."`
	Lines       int           `default:"1000000" help:"The number of lines to import; 0 for no import."`
	Imports     int           `default:"3" help:"How often each contender imports them."`
	Root        string        `default:"." help:"The repository that the importing program is built from."`
	Out         string        `default:"." help:"The directory that receives docs/benchmarks-compare.md, bench/ratios.json and bin/benchmarks-compare.json."`
	Note        string        `help:"A remark about the machine."`
	Quick       bool          `help:"Run everything once with tiny numbers, to see that it works. The figures mean nothing."`
}

// quick sets the smallest run that exercises everything.
func (c *compareCommand) quick() {
	c.Records, c.Turn, c.Rounds = []int{0, 2000}, time.Millisecond, 1
	c.Lines, c.Imports = 2000, 1
	c.Note = "A quick run: its figures mean nothing."
}

// Run runs the command compare.
func (c *compareCommand) Run(ctx context.Context, log io.Writer) error {
	if c.Quick {
		c.quick()
	}
	p, err := paceOf(c.Turn, c.Rounds)
	if err != nil {
		return err
	}
	if c.Lines > 0 && c.Imports < 1 {
		return errors.New("reading the pace: --imports must be positive, or --lines 0")
	}
	all := comparison{Conditions: conditionsOf(serverSettings(), p, c.Connections, c.Note), only: c.Only}
	err = withServer(ctx, serverSettings(), func(server *pglocal.Server) error {
		if c.Lines > 0 && len(c.Only) == 0 {
			im := importing{lines: c.Lines, rounds: c.Imports}
			results, err := im.measure(ctx, server, c.Root, log)
			if err != nil {
				return err
			}
			all.Results = append(all.Results, results...)
		}
		for _, records := range c.Records {
			fmt.Fprintf(log, "bench: filling a table with %d records\n", records)
			err := withSite(ctx, server, records, c.Connections, contenders(), func(s *site) error {
				return all.add(ctx, s, p, log)
			})
			if err != nil {
				return fmt.Errorf("comparing on %d records: %w", records, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	all.Conditions.LoadAtEnd = load()
	out := files{c.Out}
	if len(c.Only) > 0 {
		return all.writeInto(out, log)
	}
	return all.write(out, log)
}

// writeInto replaces some results of the last run. A ratio compares contenders that
// took turns, so the other results may be of an earlier time.
func (c *comparison) writeInto(out files, log io.Writer) error {
	last, err := readComparison(out.raw())
	if err != nil {
		return err
	}
	for i := range c.Results {
		r := &c.Results[i]
		old := find(last.Results, r.Records, r.Work, r.Contender)
		if old == nil {
			return fmt.Errorf("replacing %s of %s on %d records in %s: it has no such result", r.Work, r.Contender, r.Records, out.raw())
		}
		*old = *r
	}
	return last.write(out, log)
}

// add measures every kind of work on a site. Reads come first, while the table holds
// only its seeded records.
func (c *comparison) add(ctx context.Context, s *site, p pace, log io.Writer) error {
	c.Conditions.PostgreSQL = s.admin.PgConn().ParameterStatus("server_version")
	c.Conditions.Settings = nil
	for _, contender := range s.contenders {
		c.Conditions.Settings = append(c.Conditions.Settings, setting{contender.name, contender.settings})
	}
	for _, w := range append(reads(&s.facts), writes()...) {
		if len(c.only) > 0 && !slices.Contains(c.only, w.name) {
			continue
		}
		fmt.Fprintf(log, "bench: %s\n", w.name)
		results, err := measureWork(ctx, w, s, p)
		if err != nil {
			return err
		}
		c.Results = append(c.Results, results...)
	}
	return nil
}

func (c *comparison) write(out files, log io.Writer) error {
	if err := writeJSON(out.raw(), c); err != nil {
		return err
	}
	return c.publish(out, log)
}

// publish writes what is committed of a comparison: the table and the watched ratios.
func (c *comparison) publish(out files, log io.Writer) error {
	if err := writeText(out.table(), []byte(report(c))); err != nil {
		return err
	}
	if err := writeJSON(out.ratios(), ratiosOf(c)); err != nil {
		return err
	}
	fmt.Fprintf(log, "bench: wrote %s and %s from %s\n", out.table(), out.ratios(), out.raw())
	return nil
}

// tableCommand writes the table and the ratios again, after a change of their text.
type tableCommand struct {
	Out string `default:"." help:"The directory with bin/benchmarks-compare.json; it receives docs/benchmarks-compare.md and bench/ratios.json."`
}

// Run runs the command table.
func (c *tableCommand) Run(log io.Writer) error {
	out := files{c.Out}
	results, err := readComparison(out.raw())
	if err != nil {
		return err
	}
	return results.publish(out, log)
}

// measureWork measures one kind of work after a checkpoint, so that earlier writes do
// not weigh on it.
func measureWork(ctx context.Context, w work, s *site, p pace) ([]result, error) {
	if _, err := s.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, fmt.Errorf("asking for a checkpoint: %w", err)
	}
	rows, err := s.rows(ctx)
	if err != nil {
		return nil, err
	}
	results, err := measure(ctx, w, s, p)
	for i := range results {
		results[i].RowsBefore = rows
	}
	return results, err
}
