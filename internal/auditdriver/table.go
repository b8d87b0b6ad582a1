package auditdriver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// table is what the server says of the table of records, and of the two next to it. It is
// trusted for lookAgain.
type table struct {
	// rewrites: what is stored may differ from what was sent. So every call reads its
	// records back.
	rewrites bool

	// The same of the other tables, whose statements return what was changed before a row
	// was stored. So a call reads back what may be changed or removed after that.
	rewritesGaps, rewritesStatements bool

	// resets: a trigger names the settings that a commit depends on, and may change them.
	resets bool

	// distributed: its rows are on the workers of a Citus cluster.
	distributed bool

	refusal  error // why nothing can be stored truthfully
	unlogged []string
	asked    time.Time
}

const (
	errNoTable plainError = "coordination_audit_records is no table, so nothing says where its rows go: " +
		"set Config.Schema to the schema of the table"
	errHasChildren plainError = "coordination_audit_records has child tables (INHERITS), whose rows nothing keeps unique: " +
		"remove them (ALTER TABLE … NO INHERIT)"
	errHasRules plainError = "coordination_audit_records has a rule that rewrites statements: drop it (DROP RULE)"
)

// storingIn returns db for statements that store rows in the table, as that was at most
// lookAgain ago. Its error says why nothing may be sent. The usual call asks the server
// nothing.
func (d *Driver) storingIn(ctx context.Context, db located) (located, error) {
	found, err := d.tableLately(ctx, db)
	if err != nil {
		if sqlState(err) == "" {
			err = notSent(err)
		}
		return db, err
	}
	for _, name := range found.unlogged {
		if d.events.DurabilityReduced != nil && d.first(name) {
			d.events.DurabilityReduced(ctx, Weakness{name, "unlogged", "a crash of the server empties the table: run ALTER TABLE " + name + " SET LOGGED"})
		}
	}
	db.table = found
	return db, found.refusal
}

// tableLately asks for the table unless the session knows it.
func (d *Driver) tableLately(ctx context.Context, db located) (*table, error) {
	found, known := sessionOf(db.on.conn.PgConn()).tables[db.trail.schema]
	if known && time.Since(found.asked) <= lookAgain {
		return found, nil
	}
	found, _, err := d.tableNow(ctx, db)
	return found, err
}

// tableNow asks for the table and the session's settings in one round trip, and remembers
// the table. A table that is missing or cannot be read is taken for one that rewrites.
func (d *Driver) tableNow(ctx context.Context, db located) (found *table, settings string, err error) {
	row, err := d.queries.DescribeRecordsTable(ctx, located{DBTX: asking{db.on}, trail: db.trail})
	found = &table{
		asked: time.Now(), rewrites: row.Rewrites, rewritesGaps: row.RewritesGaps, rewritesStatements: row.RewritesStatements,
		resets: row.ResetsSession, distributed: row.Distributed,
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return &table{rewrites: true}, "", nil // the statement itself will fail
	case err != nil:
		return nil, "", err
	case !row.IsTable:
		found.refusal = refusedAll(errNoTable)
	case row.HasChildren:
		found.refusal = refusedAll(errHasChildren)
	case row.HasRules:
		found.refusal = refusedAll(errHasRules)
	}
	if row.RecordsUnlogged {
		found.unlogged = append(found.unlogged, recordsTable)
	}
	if row.GapsUnlogged {
		found.unlogged = append(found.unlogged, gapsTable)
	}
	if row.StatementsUnlogged {
		found.unlogged = append(found.unlogged, statementsTable)
	}
	s := sessionOf(db.on.conn.PgConn())
	if s.tables == nil {
		s.tables = map[string]*table{}
	}
	s.tables[db.trail.schema] = found
	return found, row.Session, nil
}

// asking is a connection on which a question without arguments takes one message, and
// nothing is prepared. In a caller's transaction it leaves that as it was.
type asking struct{ on borrowed }

// Query implements dbgen.DBTX.
func (a asking) Query(ctx context.Context, sql string, _ ...any) (pgx.Rows, error) {
	answers, err := a.on.ask(ctx, sql)
	if err != nil {
		return nil, err
	}
	first := answers[0]
	return &answer{
		fields: first.FieldDescriptions, types: a.on.conn.TypeMap(), tag: first.CommandTag,
		values: slices.Concat(first.Rows...), count: len(first.Rows),
	}, nil
}

// QueryRow implements dbgen.DBTX.
func (a asking) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := a.Query(ctx, sql, args...)
	return answerRow{rows: rows, err: err}
}

// Exec implements dbgen.DBTX. Nothing is asked that way.
func (a asking) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errors.ErrUnsupported
}

var _ dbgen.DBTX = asking{}

// ask sends questions in one message, which is one implicit transaction. In a caller's
// transaction it sets the savepoint through tx, which knows whether it has ended.
func (b borrowed) ask(ctx context.Context, sql string) ([]*pgconn.Result, error) {
	if b.tx == nil {
		return b.conn.PgConn().Exec(ctx, sql).ReadAll()
	}
	if _, err := b.tx.Exec(ctx, setSavepoint); err != nil {
		return nil, err
	}
	answers, err := b.conn.PgConn().Exec(ctx, sql+"; "+undoSavepoint).ReadAll()
	if sqlState(err) != "" {
		err = savepoint{tx: b.tx}.undo(ctx, err)
	}
	return answers, err
}

// Place is where a trail is. It is for packages that use the trail's tables on a connection
// of their own.
type Place struct{ trail *trail }

// FindPlace finds the trail that a driver on the connection would work on. If schema is not
// empty, the trail is there.
func FindPlace(ctx context.Context, conn *pgx.Conn, schema string) (Place, error) {
	if schema != "" {
		return Place{trail: newTrail(schema)}, nil
	}
	found, err := chosenTrail(borrowed{conn: conn}.ask(ctx, lookupBoth))
	if err != nil {
		return Place{}, readFailure(ctx, err)
	}
	return Place{trail: found}, nil
}

// On returns db for sqlc's statements, which name no schema.
func (p Place) On(db dbgen.DBTX) dbgen.DBTX { return located{DBTX: db, trail: p.trail} }

// SQL returns a statement's text with the schema before the name of each table.
func (p Place) SQL(text string) string { return p.trail.sql(text) }
