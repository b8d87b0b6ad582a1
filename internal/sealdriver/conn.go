// Package sealdriver is the mechanics of sealing: it reads rows as PostgreSQL's binary format
// has them, watches the transactions that hold up the fence, and stores tiles and
// checkpoints. It knows SQL and no policy. It is a package of its own, so that a service
// that does not seal compiles none of it.
package sealdriver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Conn is a connection of its own, taken out of a pool. It is not safe for concurrent use.
type Conn struct {
	conn    *pgx.Conn
	role    Role
	db      dbgen.DBTX
	place   auditdriver.Place
	named   bool   // the caller named the schema
	path    string // the search_path of a transaction that stores
	queries *dbgen.Queries

	distributed, hasLeaves *bool // nil: not asked yet

	// unreplicated: somebody ended a commit's wait for its standby.
	unreplicated atomic.Bool
}

// prepareSession makes the session independent of what its role and database are set to.
// row_security = off turns a policy that would hide rows into an error. A checkpoint is
// exported after its commit, so the commit must be durable; stronger settings stay. Each
// statement follows an index, and without statistics the planner would not know. What a
// constraint, the bounds of a partition or the columns in an index say of rows is not believed: an
// owner or a superuser can make them say anything.
const prepareSession = `
	SET client_encoding TO 'UTF8';
	SET client_min_messages TO warning;
	SET standard_conforming_strings TO on;
	SET datestyle TO 'ISO';
	SET default_transaction_isolation TO 'read committed';
	SET default_transaction_read_only TO off;
	SET row_security TO off;
	SET enable_seqscan TO off;
	SET enable_indexonlyscan TO off;
	SET constraint_exclusion TO off;
	SET enable_partition_pruning TO off;
	SET max_parallel_workers_per_gather TO 0;
	SET jit TO off;
	SET lock_timeout TO '10s';
	SET idle_session_timeout TO 0`

const raiseCommit = `SELECT pg_catalog.set_config('synchronous_commit', 'on', false)
	WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')`

// Open opens a connection as the pool does, next to it, and finds the trail. Close closes it.
func Open(ctx context.Context, pool *pgxpool.Pool, schema string, role Role) (*Conn, error) {
	c := &Conn{role: role, named: schema != "", queries: dbgen.New()}
	if err := c.connect(ctx, pool.Config()); err != nil {
		return nil, c.readFailure(ctx, err)
	}
	if err := c.setUp(ctx, schema); err != nil {
		c.Close(ctx)
		return nil, err
	}
	return c, nil
}

// connect also hears the server's warning that a commit no longer waits for its standby. A
// connection of the pool may not.
func (c *Conn) connect(ctx context.Context, pool *pgxpool.Config) (err error) {
	config := pool.ConnConfig.Copy()
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return err
		}
	}
	onNotice := config.OnNotice
	config.OnNotice = func(conn *pgconn.PgConn, notice *pgconn.Notice) {
		if onNotice != nil {
			onNotice(conn, notice)
		}
		if auditdriver.EndsStandbyWait(notice) {
			c.unreplicated.Store(true)
		}
	}
	if c.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return err
	}
	if err := prepare(ctx, c.conn, pool); err != nil {
		_ = c.conn.Close(context.WithoutCancel(ctx)) // its error is the cause
		return err
	}
	return nil
}

// prepare does what the pool's owner wants to be done with a connection.
func prepare(ctx context.Context, conn *pgx.Conn, pool *pgxpool.Config) error {
	if pool.AfterConnect != nil {
		if err := pool.AfterConnect(ctx, conn); err != nil {
			return err
		}
	}
	if pool.PrepareConn == nil {
		return nil
	}
	ok, err := pool.PrepareConn(ctx, conn)
	if err == nil && !ok {
		err = errors.New("the pool's PrepareConn refused the connection")
	}
	return err
}

func (c *Conn) setUp(ctx context.Context, schema string) (err error) {
	// The timeout of a statement counts for all that are sent with it, so it goes first.
	for _, sql := range []string{"SET statement_timeout TO 0", prepareSession, raiseCommit} {
		if _, err := c.conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return c.readFailure(ctx, err)
		}
	}
	if c.place, err = auditdriver.FindPlace(ctx, c.conn, schema); err != nil {
		return err
	}
	if err := c.pinNames(ctx); err != nil {
		return err
	}
	c.db = c.place.On(unnamed{c.conn})
	return nil
}

// Close closes the connection. It frees the lock of [Conn.TryLock] first: the server may end
// the session a moment later.
func (c *Conn) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if !c.conn.IsClosed() {
		_, _ = c.conn.PgConn().Exec(ctx, "SELECT pg_catalog.pg_advisory_unlock_all()").ReadAll() // the end of the session does the same
	}
	_ = c.conn.Close(ctx) // the server ends the session all the same
}

// unnamed sends statements without preparing them by name, so that it works behind a pooler
// and every execution is planned for its values.
type unnamed struct{ dbgen.DBTX }

// Query implements dbgen.DBTX.
func (u unnamed) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return u.DBTX.Query(ctx, sql, append([]any{pgx.QueryExecModeDescribeExec}, args...)...)
}

// QueryRow implements dbgen.DBTX.
func (u unnamed) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return u.DBTX.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeDescribeExec}, args...)...)
}

// Facts are what decides whether a session can seal.
type Facts struct {
	InRecovery, Subscribed, ReadsSequences bool
	Isolation, CachedSequences             string
	Unlogged                               []string  // tables that a crash empties
	Last                                   Positions // the highest seq in each table
}

// Describe reads the facts.
func (c *Conn) Describe(ctx context.Context) (Facts, error) {
	row, err := c.queries.DescribeSealing(ctx, c.db)
	if err != nil {
		return Facts{}, c.readFailure(ctx, err)
	}
	return Facts{
		InRecovery: row.InRecovery, Subscribed: row.Subscribed, ReadsSequences: row.ReadsSequences,
		Isolation: row.Isolation, CachedSequences: row.CachedSequences, Unlogged: row.Unlogged,
		Last: Positions{Records: row.LastRecord, Gaps: row.LastGap, Statements: row.LastStatement, Events: row.LastEvent},
	}, nil
}

// TrailSchemas lists the schemas that have a trail, or what looks like one. It is empty if the caller
// has named the schema, or the search_path of the session.
func (c *Conn) TrailSchemas(ctx context.Context) ([]string, error) {
	if params := c.conn.Config().RuntimeParams; c.named || params["search_path"] != "" || strings.Contains(params["options"], "search_path") {
		return nil, nil
	}
	names, err := c.queries.ListTrailSchemas(ctx, c.db)
	return names, c.readFailure(ctx, err)
}

// NoTables names what is no table of those whose rows are sealed, or computes a sealed column when
// it is read.
func (c *Conn) NoTables(ctx context.Context) ([]string, error) {
	var of dbgen.ListNoTablesParams
	for _, kind := range []seal.Kind{seal.Record, seal.Gap, seal.Statement, seal.Event} {
		for _, column := range seal.Columns(kind, seal.LeafVersion) {
			of.Columns = append(of.Columns, column.Name)
		}
	}
	names, err := c.queries.ListNoTables(ctx, c.db, of)
	return names, c.readFailure(ctx, err)
}

// Distributed reports whether rows of the trail are on the workers of a Citus cluster.
func (c *Conn) Distributed(ctx context.Context) (bool, error) {
	return c.asked(ctx, &c.distributed, c.queries.IsDistributed)
}

// asked returns the answer to a question that is asked once a connection.
func (c *Conn) asked(ctx context.Context, answer **bool, ask func(context.Context, dbgen.DBTX) (bool, error)) (bool, error) {
	if *answer == nil {
		is, err := ask(ctx, c.db)
		if err != nil {
			return false, c.readFailure(ctx, err)
		}
		*answer = &is
	}
	return **answer, nil
}

// TryLock takes the lock that one sealer at a time holds, until the connection is closed.
func (c *Conn) TryLock(ctx context.Context) (bool, error) {
	locked, err := c.queries.TryLockSealing(ctx, c.db)
	return locked, c.readFailure(ctx, err)
}

// LockHolder is the session that holds the lock of [Conn.TryLock].
type LockHolder struct {
	Process int32
	Role    string // quoted
	MaySeal bool   // its role has the rights of a sealer
}

// LockHolder returns who holds the lock, or nil if no one does by now.
func (c *Conn) LockHolder(ctx context.Context) (*LockHolder, error) {
	row, err := c.queries.GetSealingHolder(ctx, c.db)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // no one holds it, which is no error
	}
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	return &LockHolder{Process: row.Process, Role: row.Role, MaySeal: row.MaySeal}, nil
}

// ErrNotCommitted means that a transaction was not committed, or it is not known whether it was.
var ErrNotCommitted = errors.New("the transaction was not committed, or its answer was lost")

// commit runs work in a transaction. Neither a lost answer nor a cancelled commit is a
// success: the caller must look at what is stored.
func (c *Conn) commit(ctx context.Context, work func(db dbgen.DBTX) error) error {
	c.unreplicated.Store(false)
	tx, err := c.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return c.storeFailure(ctx, err)
	}
	err = c.conn.PgConn().ExecParams(ctx, unpinNames, [][]byte{[]byte(c.path)}, nil, nil, nil).Read().Err
	if err == nil {
		err = work(c.place.On(unnamed{tx}))
	}
	if err != nil {
		if !errors.Is(err, ErrNotStored) {
			err = c.storeFailure(ctx, err)
		}
		return errors.Join(err, ignoreClosed(tx.Rollback(context.WithoutCancel(ctx))))
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCommitted, c.storeFailure(ctx, err))
	}
	if c.unreplicated.Load() {
		return fmt.Errorf("%w: its wait for a standby was cancelled, so it may not be replicated", ErrNotCommitted)
	}
	return nil
}

// Confirm makes what is stored as durable as a fresh commit. A row that is visible may come
// from a commit whose wait for its standby was cancelled.
func (c *Conn) Confirm(ctx context.Context) error {
	return c.commit(ctx, func(db dbgen.DBTX) error {
		_, err := c.queries.ConfirmDurable(ctx, db)
		return err
	})
}

func ignoreClosed(err error) error {
	if errors.Is(err, pgx.ErrTxClosed) {
		return nil
	}
	return err
}
