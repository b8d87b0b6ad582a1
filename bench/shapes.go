package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

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

// shapeResult is what a shape did, and what a row of it takes on disk.
type shapeResult struct {
	writeResult
	BytesPerRow float64 `json:"bytes_per_row"`
}

// measureShapes measures what the table's own shape costs, with its primary key
// alone: the types, the CHECKs and the order of its columns.
func (c *indexesCommand) measureShapes(ctx context.Context, server *pglocal.Server, log io.Writer) ([]shapeResult, error) {
	fmt.Fprintln(log, "bench: measuring the table's shapes")
	t, err := openDietTables(ctx, server, dietTablesConfig{locale: c.Locale})
	if err != nil {
		return nil, err
	}
	results, err := t.writeShapes(ctx, c.Rounds, c.Batches)
	return results, errors.Join(err, t.close(context.WithoutCancel(ctx)))
}

// writeShapes gives each shape its turns.
func (t *dietTables) writeShapes(ctx context.Context, rounds, batches int) ([]shapeResult, error) {
	all := shapes()
	results := make([]shapeResult, len(all))
	tables := make([]string, len(all))
	for i, s := range all {
		tables[i] = fmt.Sprintf("shape_%d", i)
		if _, err := t.admin.Exec(ctx, fmt.Sprintf(s.make, tables[i])); err != nil {
			return nil, fmt.Errorf("making a table, %s: %w", s.name, err)
		}
		results[i].Writer = s.name
	}
	next, stop := iter.Pull(t.fresh())
	defer stop()
	err := inTurns(-1, rounds, len(all), func(round, i int) error {
		turn, err := t.shapeTurn(ctx, tables[i], batches, next)
		if err != nil {
			return fmt.Errorf("writing, %s: %w", all[i].name, err)
		}
		if round >= 0 {
			results[i].Turns = append(results[i].Turns, turn)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, table := range tables {
		bytes, err := t.bytes(ctx, table)
		if err != nil {
			return nil, err
		}
		results[i].BytesPerRow = float64(bytes) / float64((rounds+1)*batches*dietBatch)
	}
	return results, nil
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
