package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// indexesCommand measures what indexes cost writes and save reads.
type indexesCommand struct {
	Records     []int  `default:"1000000,20000000" help:"How many records each table holds when it begins, run by run."`
	Rounds      int    `default:"7" help:"How many turns each set of indexes and each way to read has."`
	Grown       int    `default:"1000000" help:"How many records each set of indexes grows with."`
	Batches     int    `default:"8" help:"How many batches of 1,000 records a turn writes."`
	Calls       int    `default:"50" help:"How many calls a turn reads with."`
	Predecessor string `default:"auditmigrate/testdata/predecessor.sql" help:"The SQL that makes the predecessor's table."`
	Locale      string `default:"en-US" help:"The databases' ICU collation; C for none: comparing texts is what indexes do most."`
	Out         string `default:"docs/index-diet.md" help:"The tables; the raw turns go beside it, as JSON."`
	Note        string `help:"What else there is to know of the machine."`
	Quick       bool   `help:"Everything once, with tiny numbers, which say nothing."`
}

func (c *indexesCommand) quick() {
	c.Records, c.Grown, c.Rounds, c.Batches, c.Calls = []int{2000}, 2000, 1, 1, 1
	c.Note = "A quick run: its numbers say nothing."
}

// dietSettings leave no vacuum to fall on whoever is there, and build indexes fast.
func dietSettings() map[string]string {
	settings := serverSettings()
	settings["autovacuum"], settings["maintenance_work_mem"] = "off", "1GB"
	return settings
}

// diet is a run: docs/index-diet.json.
type diet struct {
	Conditions conditions    `json:"conditions"`
	Locale     string        `json:"locale"`
	Batches    int           `json:"batches"`
	Calls      int           `json:"calls"`
	Shapes     []shapeResult `json:"shapes"`
	Grown      []grownSize   `json:"grown"`
	Sizes      []dietSize    `json:"sizes"`
}

// dietSize is what was found on tables of one size.
type dietSize struct {
	Records int           `json:"records"`
	Built   []builtSize   `json:"built"`
	Writes  []writeResult `json:"writes"`
	Reads   []readResult  `json:"reads"`
}

// Run is what the program does for `indexes`.
func (c *indexesCommand) Run(ctx context.Context, log io.Writer) error {
	if c.Quick {
		c.quick()
	}
	if c.Rounds < 1 || c.Batches < 1 || c.Calls < 1 || len(c.Records) == 0 || slices.Min(c.Records) < fewest || c.Grown < fewest {
		return fmt.Errorf("reading the pace: rounds, batches and calls must be positive, records %d at least", fewest)
	}
	slices.Sort(c.Records)
	d := diet{
		Conditions: conditionsOf(dietSettings(), pace{Rounds: c.Rounds}, 1, c.Note),
		Locale:     c.Locale, Batches: c.Batches, Calls: c.Calls,
	}
	return withServer(ctx, dietSettings(), func(server *pglocal.Server) (err error) {
		if d.Shapes, err = c.measureShapes(ctx, server, log); err != nil {
			return err
		}
		if d.Grown, err = c.grow(ctx, server, log); err != nil {
			return err
		}
		for _, records := range c.Records {
			if err := c.measure(ctx, server, records, &d, log); err != nil {
				return fmt.Errorf("measuring the indexes of %d records: %w", records, err)
			}
			// Also now: the next size takes a quarter of an hour.
			if err := d.write(c.Out, log); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *indexesCommand) tables(records int) dietTablesConfig {
	return dietTablesConfig{
		records: records, locale: c.Locale, predecessor: c.Predecessor,
		smallest: records <= slices.Min(c.Records),
	}
}

// measure reads first: an index that was left out of a write lacks its records.
func (c *indexesCommand) measure(ctx context.Context, server *pglocal.Server, records int, d *diet, log io.Writer) (err error) {
	fmt.Fprintf(log, "bench: making tables of %d records\n", records)
	tables, err := openDietTables(ctx, server, c.tables(records))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.close(context.WithoutCancel(ctx))) }()
	d.Conditions.PostgreSQL = tables.admin.PgConn().ParameterStatus("server_version")
	size := dietSize{Records: records}
	if size.Built, err = tables.build(ctx, log); err != nil {
		return err
	}
	if size.Reads, err = tables.read(ctx, c.Rounds, c.Calls, log); err != nil {
		return err
	}
	if size.Writes, err = tables.write(ctx, c.Rounds, c.Batches, log); err != nil {
		return err
	}
	d.Sizes = append(d.Sizes, size)
	return nil
}

func (d *diet) write(table string, log io.Writer) error {
	d.Conditions.LoadAtEnd = load()
	if err := writeJSON(jsonBeside(table), d); err != nil {
		return err
	}
	return writeText(table, d.report(), log)
}
