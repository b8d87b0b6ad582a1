package auditdriver

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

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

// ReadFailure classifies the error of a statement that changed nothing, or whose transaction
// was rolled back. A nil error stays nil.
func ReadFailure(ctx context.Context, err error) error { return asked(ctx, err) }
