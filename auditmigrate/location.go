package auditmigrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/clusterschema"
)

// The relations that show where a trail is.
const (
	recordsTable    = "coordination_audit_records"
	gapsTable       = "coordination_audit_gaps"
	statementsTable = "coordination_audit_statements"

	sealTilesTable       = "coordination_audit_seal_tiles"
	sealCheckpointsTable = "coordination_audit_seal_checkpoints"
	sealEventsTable      = "coordination_audit_seal_events"
	sealLeavesTable      = clusterschema.LeavesTable // on a cluster alone
)

// sideNames lists the tables next to the records in SQL.
const sideNames = `'` + gapsTable + `', '` + statementsTable + `', '` +
	sealTilesTable + `', '` + sealCheckpointsTable + `', '` + sealEventsTable + `', '` + sealLeavesTable + `'`

// writtenTables are the tables that writers store into.
func writtenTables() []string { return []string{recordsTable, gapsTable, statementsTable} }

// isSealTable reports the tables that sealers store into, that of a cluster included.
func isSealTable(table string) bool {
	return table == sealLeavesTable || slices.Contains(sealTables(), table)
}

// sealTables are the tables of every seal.
func sealTables() []string { return []string{sealTilesTable, sealCheckpointsTable, sealEventsTable} }

// location is where a migrator's trail is, or will be created. It is decided here and
// nowhere else. Every statement that follows names this schema.
type location struct {
	// schema is "" if no schema on the search_path exists.
	schema string

	// The parts of a trail in the schema. side is a table next to the records: the
	// gaps, the statements or a table of the seal.
	records, side, versions bool

	// rivals are the schemas on the search_path that hold records, if there are
	// several. others are all schemas that hold records, except this one.
	rivals, others []string

	// adrift is a schema on the search_path that has the version table without the
	// records.
	adrift string

	path     []string // the schemas of the search_path that exist
	encoding string   // the database's
}

// place is a schema and the parts of a trail in it.
type place struct {
	schema                  string
	onPath                  int32 // its position on the search_path, from 1; 0 is none
	records, side, versions bool
}

// findPlaces looks at permanent relations only. A temporary table of the same name
// belongs to one session. Every name in the query has its schema, because the
// search_path may be anything.
const findPlaces = `
	SELECT
		n.nspname::text,
		coalesce(pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname), 0),
		coalesce(pg_catalog.bool_or(c.relname = '` + recordsTable + `'), false),
		coalesce(pg_catalog.bool_or(c.relname IN (` + sideNames + `)), false),
		coalesce(pg_catalog.bool_or(c.relname = '` + VersionTable + `'), false)
	FROM pg_catalog.pg_namespace AS n
	LEFT JOIN pg_catalog.pg_class AS c
		ON c.relnamespace = n.oid
		AND c.relname IN ('` + recordsTable + `', '` + VersionTable + `', ` + sideNames + `)
		AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
		AND c.relpersistence <> 't'
	WHERE pg_catalog.left(n.nspname::text, 3) <> 'pg_'
		AND n.nspname <> 'information_schema'
	GROUP BY n.nspname
	HAVING pg_catalog.count(c.oid) > 0 OR n.nspname = ANY (pg_catalog.current_schemas(false)) OR n.nspname::text = $1::text`

// locate queries the database and decides.
func (m *Migrator) locate(ctx context.Context, conn *pgx.Conn) (location, error) {
	places, err := readPlaces(ctx, conn, m.config.Schema)
	if err != nil {
		return location{}, err
	}
	at := decide(places, m.config.Schema)
	err = conn.QueryRow(ctx, "SELECT pg_catalog.getdatabaseencoding()::text", pgx.QueryExecModeExec).Scan(&at.encoding)
	if err != nil {
		return at, err
	}
	if at.schema == "" && m.config.Schema != "" {
		return at, &locationError{
			text: fmt.Sprintf("there is no schema %q", m.config.Schema),
			next: fmt.Sprintf("create it (CREATE SCHEMA %s AUTHORIZATION …), or correct --schema (Config.Schema)", quote(m.config.Schema)),
		}
	}
	return at, nil
}

func readPlaces(ctx context.Context, conn *pgx.Conn, configured string) ([]place, error) {
	rows, err := conn.Query(ctx, findPlaces, pgx.QueryExecModeExec, configured)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (place, error) {
		var p place
		err := row.Scan(&p.schema, &p.onPath, &p.records, &p.side, &p.versions)
		return p, err
	})
}

// decide is the rule. A configured schema is used as it is. Otherwise it is the first
// schema on the search_path that holds records, which is the one that readers and
// writers use. If none does, it is the first that holds another part of a trail, as
// down leaves it. If none does either, it is the one where the role's tables are
// created.
func decide(places []place, configured string) location {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.onPath, b.onPath), cmp.Compare(a.schema, b.schema)) })
	var at location
	var onPath []place
	for _, p := range places {
		if p.onPath > 0 {
			onPath = append(onPath, p)
			at.path = append(at.path, p.schema)
		}
	}
	candidates := onPath
	var i int
	if configured != "" {
		candidates = places
		i = slices.IndexFunc(places, func(p place) bool { return p.schema == configured })
	} else {
		i = slices.IndexFunc(onPath, func(p place) bool { return p.records })
		if i < 0 {
			i = slices.IndexFunc(onPath, func(p place) bool { return p.side || p.versions })
		}
		if i < 0 {
			i = min(0, len(onPath)-1)
		}
	}
	if i < 0 {
		return at
	}
	chosen := candidates[i]
	at.schema, at.records, at.side, at.versions = chosen.schema, chosen.records, chosen.side, chosen.versions
	for _, p := range places {
		if p.records && p.schema != at.schema {
			at.others = append(at.others, p.schema)
		}
		if p.records && p.onPath > 0 && configured == "" {
			at.rivals = append(at.rivals, p.schema)
		}
		if at.records && !at.versions && p.versions && !p.records && p.onPath > 0 && configured == "" && at.adrift == "" {
			at.adrift = p.schema
		}
	}
	if len(at.rivals) < 2 {
		at.rivals = nil
	}
	return at
}

// name qualifies a relation of the trail.
func (at location) name(relation string) string { return quote(at.schema) + "." + relation }

// checkChange refuses a change if it is unclear which trail is meant, or if the change
// would create a second one.
func (at location) checkChange(configured string) error {
	switch {
	case len(at.rivals) > 0:
		return &locationError{
			text: "the search_path leads to more than one trail: " + quoteAll(at.rivals),
			next: "say which one is meant by --schema (Config.Schema)",
		}
	case at.schema == "":
		return &locationError{
			text: "the search_path names no schema that exists and that this role may use",
			next: "create the schema that search_path names, or correct search_path",
		}
	case configured == "" && !at.records && len(at.others) > 0:
		return &locationError{
			text: fmt.Sprintf("there is a trail in %s, and this would create a second one in %q: the search_path is %s",
				quoteAll(at.others), at.schema, strings.Join(at.path, ", ")),
			next: fmt.Sprintf("to migrate that one, pass --schema %s (Config.Schema); to create another on purpose, pass --schema %s", at.others[0], at.schema),
		}
	}
	return nil
}

// utf8Encoding is the only encoding that can store every text of a record and counts
// its characters as package audit does.
const utf8Encoding = "UTF8"

// checkEncoding matches [ErrEncoding].
func (at location) checkEncoding() error {
	if at.encoding == utf8Encoding {
		return nil
	}
	return fmt.Errorf("%w but %s: %s", ErrEncoding, at.encoding, nextForEncoding)
}

const nextForEncoding = "texts of records could not be stored as they are: move to a database made with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"

// encodingError recognizes the error of a server that cannot convert the database's
// encoding to UTF8 at all, and so refuses every session in UTF8.
func encodingError(err error) error {
	if pgErr := pgError(err); pgErr != nil && pgErr.Code == stateFeatureNotSupported && isConnectError(err) {
		return fmt.Errorf("%w (the server says: %s): %s", ErrEncoding, pgErr.Message, nextForEncoding)
	}
	return err
}

// hint names the schema of another trail if none was found here.
func (at location) hint() string {
	if at.records || len(at.others) == 0 {
		return ""
	}
	return fmt.Sprintf("there is a trail in %s, to which the search_path does not lead: pass --schema (Config.Schema) or correct search_path", quoteAll(at.others))
}

// locationError matches [ErrSchema].
type locationError struct{ text, next string }

func (e *locationError) Error() string        { return e.text + ": " + e.next }
func (e *locationError) Is(target error) bool { return target == ErrSchema }

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }

// quoteAll formats a list of schemas for an error text.
func quoteAll(schemas []string) string {
	quoted := make([]string, len(schemas))
	for i, schema := range schemas {
		quoted[i] = fmt.Sprintf("%q", schema)
	}
	if len(schemas) == 1 {
		return "schema " + quoted[0]
	}
	return "schemas " + strings.Join(quoted, ", ")
}
