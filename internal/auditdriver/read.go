package auditdriver

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// read runs one reading statement on a connection of the pool. ctx bounds it. A read that
// is given up leaves nothing in doubt, so its connection may be closed.
func (d *Driver) read(ctx context.Context, work func(db dbgen.DBTX) error) error {
	return d.asking(ctx, func(on located) error { return work(on) })
}

// readPlanned is read for a statement whose best plan depends on its values.
func (d *Driver) readPlanned(ctx context.Context, work func(db dbgen.DBTX) error) error {
	return d.asking(ctx, func(on located) error { return work(planned{DBTX: on, mode: d.plannedMode}) })
}

// readMoment runs statements in order, planned for their values, until one fails. All of
// them see one moment of the trail.
func (d *Driver) readMoment(ctx context.Context, steps ...func(context.Context, dbgen.DBTX) error) error {
	return d.asking(ctx, func(on located) error {
		return d.inMoment(ctx, on, func(on located) error {
			for _, step := range steps {
				if err := step(ctx, planned{DBTX: on, mode: d.plannedMode}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// AtMoment gives read a driver whose reading calls all see one moment of the trail, on one
// connection. After one of them has failed, the others fail too. It returns the errors of
// read unchanged.
func (d *Driver) AtMoment(ctx context.Context, read func(*Driver) error) error {
	var own error
	err := d.asking(ctx, func(on located) error {
		return d.inMoment(ctx, on, func(on located) error {
			own = read(&Driver{pool: d.pool, queries: d.queries, plannedMode: d.plannedMode, moment: &on})
			return nil
		})
	})
	if err != nil {
		return err
	}
	return own
}

// inMoment runs work in a transaction that sees one moment, or in the one that is open. No
// statement there is prepared by name: a name that the session has forgotten would end the
// moment.
func (d *Driver) inMoment(ctx context.Context, on located, work func(located) error) error {
	if on.pooled == nil {
		return work(on)
	}
	tx, err := on.pooled.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	// There is nothing to commit. A connection that cannot roll back is closed.
	defer rollBack(ctx, tx)
	return work(located{DBTX: planned{DBTX: tx, mode: d.plannedMode}, trail: on.trail})
}

// asking runs ask on a connection of the pool. It refuses one that is inside a transaction,
// which may see the past.
func (d *Driver) asking(ctx context.Context, ask func(on located) error) error {
	switch {
	case d.pool == nil:
		return audit.ErrNoPool
	case d.moment != nil:
		return asked(ctx, ask(*d.moment))
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return readFailure(ctx, err)
	}
	defer conn.Release()
	if err := idle(conn.Conn()); err != nil {
		return err
	}
	once := func() error {
		on := borrowed{conn: conn.Conn()}
		return d.onTrail(ctx, on, func(t *trail) error {
			return ask(located{DBTX: possible(conn, conn.Conn()), trail: t, on: on, pooled: conn})
		})
	}
	if err = once(); outdated(err) {
		err = once() // pgx has dropped what it had prepared
	}
	return asked(ctx, err)
}

func asked(ctx context.Context, err error) error {
	if err != nil {
		return readFailure(ctx, err)
	}
	return nil
}

// planned makes the server plan each execution of a statement for its values. A statement
// that is prepared by name would get a generic plan at its sixth execution if the first five
// looked costly. That plan may search for one tenant's rows among all rows.
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

// plannedMode replaces the only mode of pgx that prepares by name and keeps what it
// prepared. The other modes were chosen on purpose, such as for a pooler, and stay.
func plannedMode(pool *pgxpool.Pool) pgx.QueryExecMode {
	config := pool.Config().ConnConfig
	mode := config.DefaultQueryExecMode
	if mode == pgx.QueryExecModeCacheStatement {
		mode = pgx.QueryExecModeCacheDescribe
	}
	return possibleMode(config, mode)
}
