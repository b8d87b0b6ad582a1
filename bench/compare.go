package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// compareCommand measures everything and writes it down.
type compareCommand struct {
	Records     []int         `default:"0,1000000,20000000" help:"How many records the table holds when it begins, run by run."`
	Turn        time.Duration `default:"300ms" help:"How long a contender's turn is."`
	Rounds      int           `default:"9" help:"How many turns each contender has."`
	Connections int           `default:"8" help:"Each contender's pool."`
	Only        []string      `sep:"none" help:"Measure these works alone, of all contenders, and put them into the results that stand; repeat it for several."`
	Lines       int           `default:"1000000" help:"How many lines are imported; 0 for none."`
	Imports     int           `default:"3" help:"How often each contender imports them."`
	Root        string        `default:"." help:"The repository, whose program imports."`
	Out         string        `default:"docs/benchmarks-compare.md" help:"The table; the raw turns go beside it, as JSON."`
	Note        string        `help:"What else there is to know of the machine."`
	Quick       bool          `help:"Everything once, with tiny numbers, which say nothing."`
}

// quick is the pace of a run that only shows that all of it works.
func (c *compareCommand) quick() {
	c.Records, c.Turn, c.Rounds = []int{0, 2000}, time.Millisecond, 1
	c.Lines, c.Imports = 2000, 1
	c.Note = "A quick run: its numbers say nothing."
}

// Run is what the program does for `compare`.
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
			fmt.Fprintf(log, "bench: making a table of %d records\n", records)
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
	if len(c.Only) > 0 {
		return all.writeInto(c.Out, log)
	}
	return all.write(c.Out, log)
}

// writeInto puts some works' results in the place of those that stand. A ratio is of
// contenders that took turns, so it does not matter that the others ran earlier.
func (c *comparison) writeInto(table string, log io.Writer) error {
	standing, err := readJSON(jsonBeside(table))
	if err != nil {
		return err
	}
	for i := range c.Results {
		r := &c.Results[i]
		old := find(standing.Results, r.Records, r.Work, r.Contender)
		if old == nil {
			return fmt.Errorf("putting %s of %s on %d records into %s: it is not in there", r.Work, r.Contender, r.Records, jsonBeside(table))
		}
		*old = *r
	}
	return standing.write(table, log)
}

// add does all works on a site. Reading comes first, while the table holds no
// other records than its own.
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

func (c *comparison) write(table string, log io.Writer) error {
	if err := writeJSON(jsonBeside(table), c); err != nil {
		return err
	}
	return c.writeTable(table, log)
}

func (c *comparison) writeTable(table string, log io.Writer) error {
	return writeText(table, report(c), log)
}

// writeText writes a report of the results beside it.
func writeText(table, text string, log io.Writer) error {
	if err := os.WriteFile(table, []byte(text), 0o644); err != nil { //nolint:gosec // it is committed for all to read
		return fmt.Errorf("writing the table: %w", err)
	}
	fmt.Fprintf(log, "bench: wrote %s of %s\n", table, jsonBeside(table))
	return nil
}

// tableCommand writes the table anew, for a change of its wording.
type tableCommand struct {
	Out string `default:"docs/benchmarks-compare.md" help:"The table; the raw turns are beside it."`
}

// Run is what the program does for `table`.
func (c *tableCommand) Run(log io.Writer) error {
	results, err := readJSON(jsonBeside(c.Out))
	if err != nil {
		return err
	}
	return results.writeTable(c.Out, log)
}

// measureWork measures with what was written before out of the way.
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
