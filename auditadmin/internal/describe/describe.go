// Package describe creates the description that package catalog embeds. The generator
// uses it, and the test that compares the two.
package describe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/clusterschema"
)

// Schema describes a database that was just migrated and that no one else uses.
func Schema(ctx context.Context, conn *pgx.Conn) (catalog.Schema, error) {
	var none catalog.Schema
	tx, err := catalog.Begin(ctx, conn)
	if err != nil {
		return none, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	places, err := catalog.Locate(ctx, tx, []string{catalog.Records})
	if err != nil {
		return none, err
	}
	if len(places) != 1 {
		return none, fmt.Errorf("describing the schema: %d schemas have a table of records, want one", len(places))
	}
	if err := catalog.Isolate(ctx, tx); err != nil {
		return none, err
	}
	// Read everything in the schema, so that no table or function of a migration is
	// left out.
	tables, err := names(ctx, tx, "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> $2",
		places[0].Quoted, auditmigrate.VersionTable)
	if err != nil {
		return none, err
	}
	functions, err := names(ctx, tx, "SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace($1)", places[0].Quoted)
	if err != nil {
		return none, err
	}
	s, err := catalog.Read(ctx, tx, places[0].Schema, tables, functions)
	if err != nil {
		return none, err
	}
	if len(s.Tables) != len(tables) || len(s.Functions) != len(functions) {
		return none, fmt.Errorf("describing the schema: %d of %d tables and %d of %d functions can be described: two may have one name",
			len(s.Tables), len(tables), len(s.Functions), len(functions))
	}
	if s.Versions, err = catalog.Versions(ctx, tx, places[0].Quoted); err != nil {
		return none, err
	}
	if err := tx.Rollback(ctx); err != nil {
		return none, fmt.Errorf("describing the schema: %w", err)
	}
	if err := generalize(ctx, conn, places[0].Quoted, s.Tables); err != nil {
		return none, err
	}
	for i := range s.Functions {
		s.Functions[i].Owner = nil
		for j, setting := range s.Functions[i].Config {
			s.Functions[i].Config[j] = strings.ReplaceAll(setting, ", "+places[0].Quoted+",", ", "+catalog.SchemaMark+",")
		}
	}
	s.Cluster, err = cluster(ctx, conn, places[0])
	return s, err
}

// cluster creates and describes the table that a trail has on a cluster alone.
func cluster(ctx context.Context, conn *pgx.Conn, at catalog.Place) ([]catalog.Table, error) {
	if _, err := conn.Exec(ctx, clusterschema.Leaves()); err != nil {
		return nil, fmt.Errorf("creating the table of a cluster: %w", err)
	}
	tx, err := catalog.Begin(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	if err := catalog.Isolate(ctx, tx); err != nil {
		return nil, err
	}
	s, err := catalog.Read(ctx, tx, at.Schema, []string{clusterschema.LeavesTable}, nil)
	if err != nil {
		return nil, err
	}
	if err := tx.Rollback(ctx); err != nil {
		return nil, fmt.Errorf("describing the table of a cluster: %w", err)
	}
	return s.Tables, generalize(ctx, conn, at.Quoted, s.Tables)
}

// generalize removes what is specific to this database, and adds the restored form of each
// CHECK.
func generalize(ctx context.Context, conn *pgx.Conn, schema string, tables []catalog.Table) error {
	for i := range tables {
		strip(&tables[i], schema)
		for j := range tables[i].Checks {
			check := &tables[i].Checks[j]
			if err := restore(ctx, conn, schema, tables[i].Name, check); err != nil {
				return err
			}
			for _, text := range []*string{&check.Expression, &check.Restored} {
				*text = strings.ReplaceAll(*text, schema+".coordination_audit_", catalog.SchemaMark+".coordination_audit_")
			}
		}
	}
	return nil
}

// names returns the only column of a query.
func names(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("listing what the migrations make: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("listing what the migrations make: %w", err)
	}
	return list, nil
}

// strip removes what is specific to this database.
func strip(t *catalog.Table, schema string) {
	t.Owner = nil
	for i := range t.Triggers {
		t.Triggers[i].Function = strings.TrimPrefix(t.Triggers[i].Function, schema+".")
	}
	for i := range t.Columns {
		if sequence := t.Columns[i].Sequence; sequence != nil {
			sequence.OID, sequence.Name = 0, ""
		}
	}
}

// restore finds the form of a CHECK after a dump and a restore.
func restore(ctx context.Context, conn *pgx.Conn, schema, table string, check *catalog.Check) error {
	text := check.Expression
	for range 3 {
		again, err := reread(ctx, conn, schema, table, text)
		if err != nil {
			return fmt.Errorf("describing %s: %w", check.Name, err)
		}
		if again == text {
			if text != check.Expression {
				check.Restored = text
			}
			return nil
		}
		text = again
	}
	return fmt.Errorf("describing %s: PostgreSQL prints it in another form each time", check.Name)
}

// reread returns how PostgreSQL prints an expression that it has parsed.
func reread(ctx context.Context, conn *pgx.Conn, schema, table, expression string) (text string, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing is kept
	_, err = tx.Exec(ctx, fmt.Sprintf(`
		SET LOCAL TimeZone = 'UTC';
		SET LOCAL search_path = pg_catalog, pg_temp;
		CREATE TEMP TABLE scratch (LIKE %s.%s);
		ALTER TABLE pg_temp.scratch ADD CONSTRAINT scratch_check CHECK (%s)`, schema, table, expression))
	if err != nil {
		return "", fmt.Errorf("adding it again: %w", err)
	}
	err = tx.QueryRow(ctx, "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'scratch_check'").Scan(&text)
	if err != nil {
		return "", fmt.Errorf("reading it again: %w", err)
	}
	return text, nil
}

// JSON returns the text of schema.json.
func JSON(s catalog.Schema) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // people read the diff
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("writing the description: %w", err)
	}
	return text.Bytes(), nil
}
