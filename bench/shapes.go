package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

// shapesCommand measures what the table's own shape costs, with its primary key
// alone: the types, the CHECKs and the order of its columns.
type shapesCommand struct {
	Rounds  int `default:"9" help:"How many turns each shape has."`
	Batches int `default:"20" help:"How many batches of 1,000 records a turn writes."`
}

// shape is how a table of the same content could be made from the migrated one.
type shape struct{ name, make string }

func shapes() []shape {
	like := func(including string) string {
		return `CREATE TABLE %[1]s (LIKE ` + oursTable + ` INCLUDING DEFAULTS INCLUDING IDENTITY` + including + `, PRIMARY KEY (audit_id))`
	}
	var alter, check []string
	for _, column := range []string{"envelope_id", "conflicting_envelope_id", "preempting_envelope_id", "tenant_id", "target_subsystem", "target_parameter"} {
		alter = append(alter, "ALTER COLUMN "+column+" TYPE text")
		check = append(check, "ADD CHECK (char_length("+column+") <= 100)")
	}
	for _, column := range []string{"envelope_class", "decision", "counterpart_class"} { // their CHECKs bound them already
		alter = append(alter, "ALTER COLUMN "+column+" TYPE text")
	}
	return []shape{
		{"as migrated: varchar, CHECKs", like(" INCLUDING CONSTRAINTS")},
		{"text, with CHECKs of its length", like(" INCLUDING CONSTRAINTS") + "; ALTER TABLE %[1]s " + strings.Join(append(alter, check...), ", ")},
		{"without CHECKs", like("")},
		{"fixed-width columns first", `CREATE TABLE %[1]s (
			seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY, decision_timestamp timestamptz NOT NULL,
			created_at timestamptz NOT NULL DEFAULT clock_timestamp(), active_envelopes_count integer NOT NULL DEFAULT 0,
			audit_id uuid PRIMARY KEY, envelope_id varchar(100) NOT NULL, envelope_class varchar(20) NOT NULL, decision varchar(20) NOT NULL,
			reason text NOT NULL, conflicting_envelope_id varchar(100), preempting_envelope_id varchar(100), tenant_id varchar(100),
			target_subsystem varchar(100), target_parameter varchar(100), counterpart_class varchar(20));
			DO $$ DECLARE definition text; BEGIN
				FOR definition IN SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '` + oursTable + `'::regclass AND contype = 'c'
				LOOP EXECUTE 'ALTER TABLE %[1]s ADD ' || definition; END LOOP; END $$`},
		{"fillfactor 90", like(" INCLUDING CONSTRAINTS") + "; ALTER TABLE %[1]s SET (fillfactor = 90)"},
	}
}

// Run is what the program does for `shapes`.
func (c *shapesCommand) Run(ctx context.Context, log io.Writer) error {
	return c.measure(ctx, os.Stdout, log)
}

func (c *shapesCommand) measure(ctx context.Context, to, log io.Writer) error {
	if c.Rounds < 1 || c.Batches < 1 {
		return errors.New("reading the pace: rounds and batches must be positive")
	}
	return withServer(ctx, dietSettings(), func(server *pglocal.Server) error {
		t, err := openDietTables(ctx, server, dietTablesConfig{locale: "C"})
		if err != nil {
			return err
		}
		results, bytes, err := t.writeShapes(ctx, c.Rounds, c.Batches)
		if err := errors.Join(err, t.close(context.WithoutCancel(ctx))); err != nil {
			return err
		}
		fmt.Fprintln(log, "bench: load average", load())
		return printShapes(to, results, bytes)
	})
}

// writeShapes gives each shape its turns, and says what a row of it takes on disk.
func (t *dietTables) writeShapes(ctx context.Context, rounds, batches int) ([]writeResult, []float64, error) {
	all := shapes()
	results, bytes := make([]writeResult, len(all)), make([]float64, len(all))
	tables := make([]string, len(all))
	for i, s := range all {
		tables[i] = fmt.Sprintf("shape_%d", i)
		if _, err := t.admin.Exec(ctx, fmt.Sprintf(s.make, tables[i])); err != nil {
			return nil, nil, fmt.Errorf("making a table, %s: %w", s.name, err)
		}
		results[i].Writer = s.name
	}
	next, stop := iter.Pull(t.fresh())
	defer stop()
	for round := -1; round < rounds; round++ { // the first one warms up
		for i := range all {
			i = (i + max(round, 0)) % len(all)
			turn, err := t.shapeTurn(ctx, tables[i], batches, next)
			if err != nil {
				return nil, nil, fmt.Errorf("writing, %s: %w", all[i].name, err)
			}
			if round >= 0 {
				results[i].Turns = append(results[i].Turns, turn)
			}
		}
	}
	for i, table := range tables {
		size, err := t.bytes(ctx, table)
		if err != nil {
			return nil, nil, err
		}
		bytes[i] = float64(size) / float64((rounds+1)*batches*dietBatch)
	}
	return results, bytes, nil
}

func (t *dietTables) shapeTurn(ctx context.Context, table string, batches int, next func() (audit.Record, bool)) (turn writeTurn, err error) {
	conn, err := pgx.Connect(ctx, t.url)
	if err != nil {
		return turn, fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	sql := strings.Replace(yardstick.InsertMany, oursTable, table, 1)
	for range batches {
		took, err := insertBatch(ctx, conn, sql, yardstick.InsertManyArgs(takeBatch(next)))
		if err != nil {
			return turn, err
		}
		turn.Rows, turn.Seconds = turn.Rows+dietBatch, turn.Seconds+took.Seconds()
	}
	return turn, nil
}

func printShapes(to io.Writer, results []writeResult, bytes []float64) error {
	var text strings.Builder
	text.WriteString("| table, its primary key alone | rows/s | times as migrated | lowest to highest | bytes a row |\n|---|---|---|---|---|\n")
	for i := range results {
		times := results[i].times(&results[0])
		fmt.Fprintf(&text, "| %s | %s | **%.2f** | %.2f to %.2f | %.1f |\n", results[i].Writer,
			thousands(int64(results[i].rates().median)), times.median, times.low, times.high, bytes[i])
	}
	_, err := io.WriteString(to, text.String())
	return err
}
