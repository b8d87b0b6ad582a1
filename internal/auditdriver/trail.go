package auditdriver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// tablePrefix begins the name of each of the trail's tables, and occurs nowhere else in a
// statement.
const tablePrefix = "coordination_audit_"

// trail is the place of the tables. Every statement names its schema, so neither a
// session's search_path nor a temporary table can substitute another table.
type trail struct {
	schema string // quoted
	texts  sync.Map

	shardTexts sync.Map // see shardSQL
}

func newTrail(schema string) *trail {
	return &trail{schema: pgx.Identifier{schema}.Sanitize()}
}

// sql returns a statement's text with the schema before the name of each table.
func (t *trail) sql(text string) string {
	if qualified, ok := t.texts.Load(text); ok {
		return qualified.(string) //nolint:forcetypeassert // nothing else is stored
	}
	qualified := t.qualify(text)
	t.texts.Store(text, qualified)
	return qualified
}

// qualify handles names, and literals that hold a name (as in to_regclass).
func (t *trail) qualify(text string) string {
	return strings.NewReplacer(
		"'"+tablePrefix, "'"+strings.ReplaceAll(t.schema, "'", "''")+"."+tablePrefix,
		tablePrefix, t.schema+"."+tablePrefix,
	).Replace(text)
}

// located is a connection or transaction on which sqlc's statements, which name no
// schema, use the tables of one trail.
type located struct {
	dbgen.DBTX
	trail  *trail
	on     borrowed
	own    *ownConn      // nil in a caller's transaction
	pooled *pgxpool.Conn // of a read outside a moment

	table *table // that statements store rows in; nil if none does
}

// onShards reports whether statements store rows on the workers of a Citus cluster.
func (l located) onShards() bool { return l.table != nil && l.table.distributed }

func (l located) text(sql string) string {
	if l.onShards() {
		return l.trail.shardSQL(sql)
	}
	return l.trail.sql(sql)
}

// Exec implements dbgen.DBTX.
func (l located) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return l.DBTX.Exec(ctx, l.text(sql), args...)
}

// Query implements dbgen.DBTX.
func (l located) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return l.DBTX.Query(ctx, l.text(sql), args...)
}

// QueryRow implements dbgen.DBTX.
func (l located) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return l.DBTX.QueryRow(ctx, l.text(sql), args...)
}

// locate returns the trail that the driver works on. It asks the server only if the trail
// is not known yet.
func (d *Driver) locate(ctx context.Context, b borrowed) (*trail, error) {
	home := d.home(b)
	if known := home.trail.Load(); known != nil {
		return known, nil
	}
	found, err := chosenTrail(b.ask(ctx, lookupBoth))
	if err != nil {
		return nil, err
	}
	home.trail.Store(found)
	return found, nil
}

// forgetMoved forgets the trail's place if a statement did not find the trail there. The
// next call looks it up again.
func (d *Driver) forgetMoved(b borrowed, moved *trail, err error) {
	if state := sqlState(err); state != stateUndefinedTable && state != stateInvalidSchema {
		return
	}
	if home := d.home(b); !home.fixed {
		home.trail.CompareAndSwap(moved, nil)
	}
}

// home remembers the place of the trail for all connections of a pool, or for one
// connection.
type home struct {
	fixed bool // by configuration
	trail atomic.Pointer[trail]
}

// home returns the driver's own home for the connections of its pool. A caller's
// transaction may come from another pool, whose sessions find another trail. It never
// fills the driver's home. It shares a home that is filled if its connection began like
// those of the pool. Otherwise the home is the connection's own.
func (d *Driver) home(b borrowed) *home {
	if b.tx == nil || d.shared.fixed {
		return &d.shared
	}
	const key = "coordaudit: trail"
	memory := b.conn.PgConn().CustomData()
	kept, ok := memory[key].(*callersHome)
	if !ok {
		kept = &callersHome{}
		memory[key] = kept
	}
	if kept.of != d {
		kept.of, kept.shares = d, d.pool != nil && beginAlike(b.conn.Config(), d.pool.Config().ConnConfig)
	}
	if kept.shares && d.shared.trail.Load() != nil {
		return &d.shared
	}
	return &kept.own
}

// callersHome is the home of a connection that a caller's transaction runs on.
type callersHome struct {
	own    home
	of     *Driver
	shares bool // the home of that driver
}

// beginAlike compares what decides which trail a new session finds by itself.
func beginAlike(a, b *pgx.ConnConfig) bool {
	same := a.Host == b.Host && a.Port == b.Port && a.Database == b.Database && a.User == b.User
	for _, name := range []string{"search_path", "options"} {
		same = same && a.RuntimeParams[name] == b.RuntimeParams[name]
	}
	return same
}

// lookupTrail finds the first permanent table of the trail's name on the search_path, as
// PostgreSQL would without temporary tables. It qualifies every name, since anyone may have
// set the path.
const lookupTrail = `SELECT n.nspname
FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (schema, place)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = path.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid
WHERE c.relname = 'coordination_audit_records'
    AND c.relkind IN ('r', 'p')
    AND c.relpersistence <> 't'
ORDER BY path.place
LIMIT 1`

// The lookup runs twice: on the session's search_path, and on the one that a new session
// would have. Both are in one transaction, so SET LOCAL ends with it or with the savepoint.
const (
	lookupBoth    = lookupTrail + "; SET LOCAL search_path TO DEFAULT; " + lookupTrail
	lookupSession = 0 // the indexes of the answers
	lookupUsual   = 2
)

// chosenTrail chooses between the results of the two lookups.
func chosenTrail(answers []*pgconn.Result, err error) (*trail, error) {
	if err != nil {
		return nil, err
	}
	session, usual := schemaIn(answers[lookupSession]), schemaIn(answers[lookupUsual])
	switch {
	case session == "" && usual == "":
		return nil, &StatementError{Kind: audit.ErrRefused, SQLState: stateUndefinedTable, RefusesAll: true, cause: errNoTrail}
	case session == "" || session == usual:
		return newTrail(usual), nil
	case usual == "":
		return newTrail(session), nil
	default:
		return nil, refusedAll(&twoTrailsError{session: session, usual: usual})
	}
}

func schemaIn(answer *pgconn.Result) string {
	if len(answer.Rows) == 0 {
		return ""
	}
	return string(answer.Rows[0][0])
}

var errNoTrail = errors.New("the search_path leads to no table coordination_audit_records (SQLSTATE " + stateUndefinedTable + ")")

// twoTrailsError says that a session's search_path was changed and now leads to another
// trail.
type twoTrailsError struct{ session, usual string }

// Error names both schemas and the setting that decides between them.
func (e *twoTrailsError) Error() string {
	return fmt.Sprintf("there are two trails: the session's search_path leads to schema %q, its default to schema %q: set Config.Schema to the right one",
		e.session, e.usual)
}
