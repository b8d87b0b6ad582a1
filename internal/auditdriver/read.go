package auditdriver

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// read runs one reading statement on a connection of the pool. ctx bounds it: a
// read that is given up leaves nothing in doubt, so its connection may go.
func (d *Driver) read(ctx context.Context, work func(db dbgen.DBTX) error) error {
	return d.asking(ctx, func() error { return work(d.pool) })
}

// readPlanned is read for a statement whose best plan depends on its values.
func (d *Driver) readPlanned(ctx context.Context, work func(db dbgen.DBTX) error) error {
	return d.asking(ctx, func() error { return work(planned{DBTX: d.pool, mode: d.plannedMode}) })
}

// readMoment runs statements, planned for their values, that see one moment of the
// trail, in their order and up to the first that fails.
func (d *Driver) readMoment(ctx context.Context, steps ...func(context.Context, dbgen.DBTX) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return d.asking(ctx, func() error {
		return pgx.BeginTxFunc(ctx, d.pool, options, func(tx pgx.Tx) error {
			for _, step := range steps {
				if err := step(ctx, planned{DBTX: tx, mode: d.plannedMode}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (d *Driver) asking(ctx context.Context, ask func() error) error {
	if d.pool == nil {
		return audit.ErrNoPool
	}
	if err := ask(); err != nil {
		return readFailure(ctx, err)
	}
	return nil
}

// planned has each execution of a statement planned for its values. A statement
// that is prepared by name would get a generic plan at its sixth execution, if
// the first five looked dear; one tenant's rows may then be sought among all.
type planned struct {
	dbgen.DBTX
	mode pgx.QueryExecMode
}

// Query implements dbgen.DBTX.
func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, append([]any{p.mode}, args...)...)
}

// QueryRow implements dbgen.DBTX.
func (p planned) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.DBTX.QueryRow(ctx, sql, append([]any{p.mode}, args...)...)
}

// plannedMode: of pgx's modes only this one prepares by name and keeps what it
// prepared. The others are somebody's choice, for a pooler say, and stay.
func plannedMode(pool *pgxpool.Pool) pgx.QueryExecMode {
	mode := pool.Config().ConnConfig.DefaultQueryExecMode
	if mode == pgx.QueryExecModeCacheStatement {
		return pgx.QueryExecModeCacheDescribe
	}
	return mode
}

// Position is a place in a listing: that of a row, or one between rows.
type Position struct {
	DecisionTimestamp time.Time
	Seq               int64
}

// earliest and latest bound every decision_timestamp that a time.Time can hold
// in the table, the unlikely years of adopted rows included.
func earliest() time.Time { return time.Date(-4711, time.January, 1, 0, 0, 0, 0, time.UTC) }
func latest() time.Time   { return time.Date(294276, time.January, 1, 0, 0, 0, 0, time.UTC) }

// bounds are a window's, with open ones in reach of no row.
func bounds(w audit.Window) (since, until time.Time) {
	since, until = w.Since, w.Until
	if since.IsZero() {
		since = earliest()
	}
	if until.IsZero() {
		until = latest()
	}
	return since, until
}
