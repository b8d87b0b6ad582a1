package catalog

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// Begin opens a transaction in which the catalogs read the same in every session. How
// PostgreSQL prints expressions depends on most of these settings. search_path stays
// as it is, because it determines where the trail is. See [Locate] and [Isolate].
func Begin(ctx context.Context, conn *pgx.Conn) (pgx.Tx, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	if err := SetUp(ctx, tx); err != nil {
		_ = tx.Rollback(context.WithoutCancel(ctx)) // the first error states the cause
		return nil, err
	}
	return tx, nil
}

// SetUp makes a transaction independent of its session's settings. It does not wait for a
// table that is being migrated. row_security and lock_timeout turn a wrong or late result
// into an error.
func SetUp(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		SET LOCAL client_encoding = 'UTF8';
		SET LOCAL DateStyle = 'ISO, MDY';
		SET LOCAL IntervalStyle = 'postgres';
		SET LOCAL TimeZone = 'UTC';
		SET LOCAL extra_float_digits = 1;
		SET LOCAL bytea_output = 'hex';
		SET LOCAL standard_conforming_strings = on;
		SET LOCAL quote_all_identifiers = off;
		SET LOCAL row_security = off;
		SET LOCAL statement_timeout = 0;
		SET LOCAL lock_timeout = '5s'`)
	if err != nil {
		return fmt.Errorf("setting up the transaction: %w", err)
	}
	return nil
}

// Isolate removes all other schemas from the search_path. No object of theirs can
// shadow a catalog, and PostgreSQL prints every other name with its schema.
func Isolate(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog, pg_temp"); err != nil {
		return fmt.Errorf("setting up the transaction: %w", err)
	}
	return nil
}

// Place is a schema with tables of the trail's names.
type Place struct {
	Schema  string   `json:"schema"`
	Quoted  string   `json:"quoted"`
	OnPath  bool     `json:"on_path"` // it is in the search_path, and this role may use it
	Tables  []string `json:"tables"`  // those of the requested names
	Current bool     `json:"current"` // an unqualified CREATE TABLE would go there
}

const locate = `
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p) ORDER BY p.place, p.schema), '[]')::text
FROM (
    SELECT
        n.nspname AS schema,
        pg_catalog.quote_ident(n.nspname) AS quoted,
        pg_catalog.min(path.place) AS place,
        pg_catalog.min(path.place) IS NOT NULL AS on_path,
        n.nspname = pg_catalog.current_schema() AS current,
        pg_catalog.array_agg(DISTINCT c.relname ORDER BY c.relname) AS tables
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (name, place) ON path.name = n.nspname
    WHERE c.relname = ANY ($1::text[])
        AND c.relpersistence <> 't'
    GROUP BY n.nspname
) AS p`

// Locate lists the schemas that have tables of these names. Those on the search_path
// come first, in its order. Temporary tables, which would hide them, do not count.
func Locate(ctx context.Context, tx pgx.Tx, tables []string) ([]Place, error) {
	var places []Place
	return places, Query(ctx, tx, "looking for the trail's tables", &places, locate, tables)
}

//go:embed catalog.sql
var catalogSQL string

// Read describes the tables and functions of these names in a schema.
func Read(ctx context.Context, tx pgx.Tx, schema string, tables, functions []string) (Schema, error) {
	var s Schema
	return s, Query(ctx, tx, "reading the catalogs", &s, catalogSQL, schema, tables, functions)
}

// Database describes the database as a whole.
type Database struct {
	Name      string `json:"name"`
	Encoding  string `json:"encoding"`
	Role      string `json:"role"`
	Superuser bool   `json:"superuser"`
}

// ReadDatabase describes the database and the session's role.
func ReadDatabase(ctx context.Context, tx pgx.Tx) (Database, error) {
	var d Database
	return d, Query(ctx, tx, "reading the catalogs", &d, `
		SELECT pg_catalog.jsonb_build_object(
			'name', pg_catalog.quote_ident(d.datname),
			'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
			'role', pg_catalog.quote_ident(current_user),
			'superuser', (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
		)::text
		FROM pg_catalog.pg_database AS d
		WHERE d.datname = pg_catalog.current_database()`)
}

// Versions lists the migrations that the version table of a schema records as applied. The
// newest row of a version decides, as it does for migrate up.
func Versions(ctx context.Context, tx pgx.Tx, quotedSchema string) ([]int64, error) {
	var versions []int64
	return versions, Query(ctx, tx, "reading "+quotedSchema+"."+auditmigrate.VersionTable, &versions, `
		SELECT coalesce(pg_catalog.jsonb_agg(v.version_id ORDER BY v.version_id), '[]')::text
		FROM (
			SELECT DISTINCT ON (t.version_id) t.version_id, t.is_applied
			FROM `+quotedSchema+"."+auditmigrate.VersionTable+` AS t
			WHERE t.version_id > 0
			ORDER BY t.version_id, t.id DESC
		) AS v
		WHERE v.is_applied`)
}

// Position compares an identity column's sequence with its table. Highest is the
// highest number that a row has or had.
type Position struct {
	Last    int64 `json:"last"` // the next one is higher; 0: it has given none
	Highest int64 `json:"highest"`
	Known   bool  `json:"known"` // this role may see the sequence
}

// ReadPosition reads the table before the sequence, so that concurrent inserts cannot
// make the sequence look late. The log knows of rows that have expired since.
func ReadPosition(ctx context.Context, tx pgx.Tx, quotedTable, column string, sequence Sequence, sealed Sealed) (p Position, err error) {
	if err := Query(ctx, tx, comparingPositions, &p.Known, "SELECT pg_catalog.has_sequence_privilege($1::bigint::oid, 'USAGE, SELECT')::text", sequence.OID); err != nil || !p.Known {
		return p, err
	}
	if err := Query(ctx, tx, comparingPositions, &p.Highest, "SELECT coalesce(pg_catalog.max(t."+column+"), 0)::text FROM ONLY "+quotedTable+" AS t"); err != nil {
		return p, err
	}
	through, err := sealed.read(ctx, tx, comparingPositions)
	if err != nil {
		return p, err
	}
	p.Highest = max(p.Highest, through)
	var last *int64
	if err := Query(ctx, tx, comparingPositions, &last, "SELECT coalesce(pg_catalog.pg_sequence_last_value($1::bigint::oid)::text, 'null')", sequence.OID); err != nil {
		return p, err
	}
	if last != nil {
		p.Last = *last
		return p, nil
	}
	err = p.readRestart(ctx, tx, sequence)
	return p, err
}

const comparingPositions = "comparing the sequence with its table"

// readRestart reads where a sequence goes on that has given no number since it was set: by
// RESTART WITH, or by setval with false. pg_sequence_last_value does not tell.
func (p *Position) readRestart(ctx context.Context, tx pgx.Tx, sequence Sequence) error {
	if p.Highest == 0 { // no number is taken
		return nil
	}
	err := Query(ctx, tx, comparingPositions, &p.Known, "SELECT pg_catalog.has_sequence_privilege($1::bigint::oid, 'SELECT')::text", sequence.OID)
	if err != nil || !p.Known {
		return err
	}
	return Query(ctx, tx, comparingPositions, &p.Last, "SELECT (s.last_value - CASE WHEN s.is_called THEN 0 ELSE 1 END)::text FROM "+sequence.Name+" AS s")
}

// Sealed is where the log says how far a table is sealed: the quoted table of its checkpoints,
// and the column. It may be empty.
type Sealed struct{ Checkpoints, Column string }

// Through is the expression of the highest number that was ever sealed, or NULL. It takes the
// last checkpoint of each epoch by its key, as there may be one for each second of the trail.
func (s Sealed) Through() string {
	if s.Checkpoints == "" {
		return "NULL"
	}
	names := strings.NewReplacer("$checkpoints", s.Checkpoints, "$column", s.Column)
	return names.Replace(strings.Join(strings.Fields(`(
		WITH RECURSIVE epochs AS (
			(SELECT c.epoch FROM ONLY $checkpoints AS c ORDER BY c.epoch DESC LIMIT 1)
			UNION ALL
			SELECT (SELECT c.epoch FROM ONLY $checkpoints AS c WHERE c.epoch < e.epoch ORDER BY c.epoch DESC LIMIT 1)
			FROM epochs AS e
			WHERE e.epoch IS NOT NULL
		)
		SELECT pg_catalog.max((SELECT c.$column FROM ONLY $checkpoints AS c WHERE c.epoch = e.epoch ORDER BY c.size DESC LIMIT 1))
		FROM epochs AS e
	)`), " "))
}

// read returns 0 to a role that may not read the checkpoints, such as a writer.
func (s Sealed) read(ctx context.Context, tx pgx.Tx, doing string) (through int64, err error) {
	var may bool
	if s.Checkpoints == "" {
		return 0, nil
	}
	if err := Query(ctx, tx, doing, &may, "SELECT pg_catalog.has_table_privilege($1::text, 'SELECT')::text", s.Checkpoints); err != nil || !may {
		return 0, err
	}
	return through, Query(ctx, tx, doing, &through, "SELECT coalesce("+s.Through()+", 0)::text")
}

// Query reads one JSON value. QueryExecModeExec also works behind poolers.
func Query(ctx context.Context, tx pgx.Tx, doing string, target any, sql string, args ...any) error {
	var text string
	if err := tx.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeExec}, args...)...).Scan(&text); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := json.Unmarshal([]byte(text), target); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
