// Package auditdriver is the mechanics of persisting and reading. It turns records into
// rows and back, runs transactions and savepoints, maps SQLSTATEs to the errors of package
// audit, and logs traces. It knows SQL and no policy: the store decides how long to wait,
// whether to try again and what to log.
package auditdriver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Driver persists and reads records on a pool's connections, and in its callers'
// transactions. It is safe for concurrent use.
type Driver struct {
	pool        *pgxpool.Pool
	queries     *dbgen.Queries
	plannedMode pgx.QueryExecMode // for statements that are planned for their values
	shared      home              // of the trail, for the pool's database
	cancels     sync.WaitGroup    // cancel requests in progress
	watch
	moment *located // where a driver of AtMoment reads; nil for a driver on its pool
}

// New returns a driver on a pool. The pool may be nil: then only the calls that take a
// transaction work. The driver looks the trail up by itself.
func New(pool *pgxpool.Pool) *Driver {
	d := &Driver{pool: pool, queries: dbgen.New()}
	if pool != nil {
		d.plannedMode = plannedMode(pool)
	}
	return d
}

// NewInSchema is [New] for a trail in the given schema. If that is empty, the driver looks
// the trail up.
func NewInSchema(pool *pgxpool.Pool, schema string) *Driver {
	d := New(pool)
	if schema != "" {
		d.shared.fixed = true
		d.shared.trail.Store(newTrail(schema))
	}
	return d
}

// Persist stores one normalized, valid record in its own transaction. A nil error means that
// it is committed, by a commit that was not cancelled. ctx bounds the call: see
// [Driver.bounded].
func (d *Driver) Persist(ctx context.Context, rec *audit.Record) (audit.Result, error) {
	item, err := d.PersistItem(ctx, rec)
	return item.Result, err
}

// PersistItem is [Driver.Persist] for a caller that asks whether the stored row is
// elsewhere. The item has no error of its own.
func (d *Driver) PersistItem(ctx context.Context, rec *audit.Record) (Item, error) {
	var item Item
	err := d.onPool(ctx, func(ctx context.Context, db located) (err error) {
		item, err = d.persist(ctx, db, rec)
		return err
	})
	return item, err
}

// PersistTx stores one normalized, valid record inside the caller's transaction. A record
// that fails does not harm the transaction, unless the connection breaks.
func (d *Driver) PersistTx(ctx context.Context, tx pgx.Tx, rec *audit.Record) (audit.Result, error) {
	var item Item
	err := d.inTx(ctx, tx, func(ctx context.Context, db located) (err error) {
		item, err = d.persist(ctx, db, rec)
		return err
	})
	return item.Result, err
}

// PersistMany is [Driver.Persist] for a batch, in one statement and so in one transaction.
// The items are in the batch's order.
func (d *Driver) PersistMany(ctx context.Context, recs []audit.Record) ([]Item, error) {
	var items []Item
	err := d.onPool(ctx, func(ctx context.Context, db located) (err error) {
		items, err = d.persistMany(ctx, db, recs)
		return err
	})
	return sent(items, err)
}

// PersistManyTx is [Driver.PersistTx] for a batch.
func (d *Driver) PersistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) ([]Item, error) {
	var items []Item
	err := d.inTx(ctx, tx, func(ctx context.Context, db located) (err error) {
		items, err = d.persistMany(ctx, db, recs)
		return err
	})
	return sent(items, err)
}

// Close waits for the cancel requests that calls have left behind, for at most
// cancelLinger. No call may be in progress.
func (d *Driver) Close() { d.cancels.Wait() }

// HasPool reports whether there is a pool. Without one, only the calls that take a
// transaction work.
func (d *Driver) HasPool() bool { return d.pool != nil }

// onPool runs work on one connection of the pool. Each statement there is its own
// transaction.
func (d *Driver) onPool(ctx context.Context, work func(context.Context, located) error) error {
	return d.onConn(ctx, func(ctx context.Context, own *ownConn) error {
		on := borrowed{conn: own.conn.Conn()}
		return d.onTrail(ctx, on, func(t *trail) error {
			return work(ctx, located{DBTX: whole{possible(own.conn, own.conn.Conn())}, trail: t, on: on, own: own})
		})
	})
}

// onConn is onPool without the trail.
func (d *Driver) onConn(ctx context.Context, work func(context.Context, *ownConn) error) error {
	if d.pool == nil {
		return audit.ErrNoPool
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return notSent(err)
	}
	defer conn.Release()
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}

	own := ownConn{conn: conn, driver: d, bound: ctx}
	if own.session, err = d.ready(ctx, conn.Conn()); err != nil {
		return err
	}

	missed, err := d.bounded(ctx, conn.Conn().PgConn(), func(ctx context.Context) error { return work(ctx, &own) })
	if err != nil && own.session.distributed() {
		err = onWorker(err)
	}
	err = ownFailure(ctx, conn.Conn(), err) // before discard: it checks whether the connection broke
	// A cached plan that does not fit the changed table stays with its connection.
	if missed || sqlState(err) == stateFeatureNotSupported {
		discard(ctx, conn.Conn())
	}
	return err
}

// discard closes a connection that is not fit for its next user, such as one that a cancel
// request may still hit.
func discard(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 50*time.Millisecond)
	defer cancel()
	// The socket is closed even if the server does not learn of it, so the error says nothing.
	_ = conn.Close(ctx)
}

// inTx runs work inside the caller's transaction, each statement in a savepoint.
func (d *Driver) inTx(ctx context.Context, tx pgx.Tx, work func(context.Context, located) error) error {
	conn := connOf(tx)
	if err := usable(conn); err != nil {
		return err
	}
	if err := unfinished(ctx, tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}

	bound := ctx
	missed, err := d.bounded(ctx, conn.PgConn(), func(ctx context.Context) error {
		on := borrowed{conn: conn, tx: tx}
		return d.onTrail(ctx, on, func(t *trail) error {
			return work(ctx, located{DBTX: savepoint{tx: tx, bound: bound}, trail: t, on: on})
		})
	})
	if missed && !conn.IsClosed() {
		// The caller's next statement uses this connection.
		<-time.After(missedCancelDelay)
	}
	return txFailure(ctx, conn, err)
}

// connOf returns the transaction's connection. It returns nil if tx is nil, or holds a nil
// pointer of any type, which only a call of it can show.
func connOf(tx pgx.Tx) (conn *pgx.Conn) {
	if tx == nil {
		return nil
	}
	defer func() {
		if recover() != nil {
			conn = nil
		}
	}()
	return tx.Conn()
}

// usable reports a transaction in which nothing can be done any more. It does not touch it:
// only its owner knows what to do.
func usable(conn *pgx.Conn) error {
	if conn == nil {
		return fmt.Errorf("%w: it is nil, or has no connection", audit.ErrTxUnusable)
	}
	if conn.IsClosed() {
		return fmt.Errorf("%w: its connection is closed", audit.ErrTxUnusable)
	}
	switch conn.PgConn().TxStatus() {
	case 'T':
		return nil
	case 'E':
		return fmt.Errorf("%w: an earlier statement of it failed, so it can only be rolled back", audit.ErrTxUnusable)
	default:
		return errFinished
	}
}

var errFinished = fmt.Errorf("%w: it was committed or rolled back already", audit.ErrTxUnusable)

// unfinished reports a transaction that has ended while its connection is in another one, as
// a nested one ends. An empty batch sends nothing, and pgx refuses it all the same.
func unfinished(ctx context.Context, tx pgx.Tx) error {
	if err := tx.SendBatch(ctx, &pgx.Batch{}).Close(); errors.Is(err, pgx.ErrTxClosed) {
		return errFinished
	}
	return nil
}
