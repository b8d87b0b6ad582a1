// Package auditdriver is the mechanics of persisting: records to rows and back,
// transactions and savepoints, SQLSTATEs to the errors of package audit, trace
// logging. It knows SQL and no policy: how long to wait, whether to try again
// and what to log is the store's business.
package auditdriver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Driver persists and reads records on a pool's connections, and inside its
// callers' transactions. It is safe for concurrent use.
type Driver struct {
	pool        *pgxpool.Pool
	queries     *dbgen.Queries
	plannedMode pgx.QueryExecMode // for statements that are planned for their values
	cancels     sync.WaitGroup    // cancel requests under way
}

// New returns a driver on a pool, which may be nil: then only the calls that
// bring a transaction work.
func New(pool *pgxpool.Pool) *Driver {
	d := &Driver{pool: pool, queries: dbgen.New()}
	if pool != nil {
		d.plannedMode = plannedMode(pool)
	}
	return d
}

// Persist stores one normalized, valid record in a transaction of its own. A nil
// error means committed. ctx bounds the call: see [Driver.bounded].
func (d *Driver) Persist(ctx context.Context, rec *audit.Record) (audit.Receipt, error) {
	var receipt audit.Receipt
	err := d.onPool(ctx, func(ctx context.Context, db dbgen.DBTX) (err error) {
		receipt, err = d.persist(ctx, db, rec)
		return err
	})
	return receipt, err
}

// PersistTx stores one normalized, valid record inside the caller's transaction,
// which survives whatever happens to the record as long as its connection does.
func (d *Driver) PersistTx(ctx context.Context, tx pgx.Tx, rec *audit.Record) (audit.Receipt, error) {
	var receipt audit.Receipt
	err := d.inTx(ctx, tx, func(ctx context.Context, db dbgen.DBTX) (err error) {
		receipt, err = d.persist(ctx, db, rec)
		return err
	})
	return receipt, err
}

// PersistMany is [Driver.Persist] for a batch, in one statement and so in one
// transaction. The results stand in the batch's order.
func (d *Driver) PersistMany(ctx context.Context, recs []audit.Record) ([]Result, error) {
	var results []Result
	err := d.onPool(ctx, func(ctx context.Context, db dbgen.DBTX) (err error) {
		results, err = d.persistMany(ctx, db, recs)
		return err
	})
	return sent(results, err)
}

// PersistManyTx is [Driver.PersistTx] for a batch.
func (d *Driver) PersistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) ([]Result, error) {
	var results []Result
	err := d.inTx(ctx, tx, func(ctx context.Context, db dbgen.DBTX) (err error) {
		results, err = d.persistMany(ctx, db, recs)
		return err
	})
	return sent(results, err)
}

// Close waits for the cancel requests that calls have left behind, cancelLinger at
// most. No call may be under way.
func (d *Driver) Close() { d.cancels.Wait() }

// HasPool reports whether there is a pool, so that more works than the calls that
// bring a transaction.
func (d *Driver) HasPool() bool { return d.pool != nil }

// onPool runs work on one connection of the pool, where each statement is a
// transaction of its own.
func (d *Driver) onPool(ctx context.Context, work func(context.Context, dbgen.DBTX) error) error {
	return d.onConn(ctx, func(ctx context.Context, conn *pgxpool.Conn) error { return work(ctx, conn) })
}

// onConn is onPool for a statement that sqlc has no word for.
func (d *Driver) onConn(ctx context.Context, work func(context.Context, *pgxpool.Conn) error) error {
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

	stray, err := d.bounded(ctx, conn.Conn().PgConn(), func(ctx context.Context) error { return work(ctx, conn) })
	err = ownFailure(ctx, conn.Conn(), err) // it asks whether the connection broke, so ahead of discard
	// A plan that the table has changed under stays with its connection.
	if stray || sqlState(err) == stateFeatureNotSupported {
		discard(ctx, conn.Conn())
	}
	return err
}

// discard closes a connection that is not fit for its next user: one that a
// cancel request may still be on its way to, say.
func discard(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 50*time.Millisecond)
	defer cancel()
	// The socket is closed whether or not the server hears of it, so the error says nothing.
	_ = conn.Close(ctx)
}

// inTx runs work inside the caller's transaction, each statement within a savepoint.
func (d *Driver) inTx(ctx context.Context, tx pgx.Tx, work func(context.Context, dbgen.DBTX) error) error {
	conn := tx.Conn()
	if err := usable(conn); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}

	stray, err := d.bounded(ctx, conn.PgConn(), func(ctx context.Context) error { return work(ctx, savepoint{tx}) })
	if stray && !conn.IsClosed() {
		// The caller's next statement goes out on this connection.
		<-time.After(settleDelay)
	}
	return txFailure(ctx, conn, err)
}

// usable reports a transaction in which nothing can be done any more. It is left
// as it is: only its owner knows what to do about it.
func usable(conn *pgx.Conn) error {
	if conn == nil || conn.IsClosed() {
		return fmt.Errorf("%w: its connection is closed", audit.ErrTxUnusable)
	}
	switch conn.PgConn().TxStatus() {
	case 'T':
		return nil
	case 'E':
		return fmt.Errorf("%w: an earlier statement of it failed, so it can only be rolled back", audit.ErrTxUnusable)
	default:
		return fmt.Errorf("%w: it was committed or rolled back already", audit.ErrTxUnusable)
	}
}
