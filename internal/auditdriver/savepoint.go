package auditdriver

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	setSavepoint     = "SAVEPOINT coordaudit"
	releaseSavepoint = "RELEASE SAVEPOINT coordaudit"

	// Both in one message of the simple protocol, so that undoing is one round trip too.
	undoSavepoint = "ROLLBACK TO SAVEPOINT coordaudit; RELEASE SAVEPOINT coordaudit"
)

// savepoint runs each statement inside a savepoint of the caller's transaction.
// If the statement fails, the savepoint is undone and the transaction goes on
// as if the statement had never been.
//
// SAVEPOINT, the statement and RELEASE go out together and cost one round trip,
// but only once the connection has the statement prepared: pgx prepares what a
// batch holds before it sends the batch, so a statement that cannot be parsed
// (no such table) or that waits for a lock while it is parsed would fail outside
// the savepoint and abort the transaction.
type savepoint struct {
	tx pgx.Tx
}

// Query implements dbgen.DBTX.
func (s savepoint) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if s.pipelines(sql) {
		return s.pipelined(ctx, sql, args)
	}
	return s.stepwise(ctx, sql, args)
}

// QueryRow implements dbgen.DBTX.
func (s savepoint) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := s.Query(ctx, sql, args...)
	return savepointRow{rows: rows, err: err}
}

// Exec implements dbgen.DBTX.
func (s savepoint) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	rows, err := s.Query(ctx, sql, args...)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	rows.Close()
	return rows.CommandTag(), rows.Err()
}

func (s savepoint) pipelines(sql string) bool {
	switch s.mode() {
	case pgx.QueryExecModeCacheStatement:
		return s.memory()[sql] != nil
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		return true // parsed where it is executed
	default:
		return false // described ahead of the batch, each time or whenever its cache forgot it
	}
}

// mode is how the connection sends statements. pgx tells it only by copying the
// connection's whole configuration, so it is asked once a connection.
func (s savepoint) mode() pgx.QueryExecMode {
	const key = "coordaudit: mode"
	mode, ok := s.memory()[key].(pgx.QueryExecMode)
	if !ok {
		mode = s.tx.Conn().Config().DefaultQueryExecMode
		s.memory()[key] = mode
	}
	return mode
}

// memory is the connection's own. A statement that the connection has prepared
// is in it under its text, which starts with its name and so is ours alone.
func (s savepoint) memory() map[string]any {
	return s.tx.Conn().PgConn().CustomData()
}

func (s savepoint) pipelined(ctx context.Context, sql string, args []any) (pgx.Rows, error) {
	var batch pgx.Batch
	batch.Queue(setSavepoint)
	batch.Queue(sql, args...)
	batch.Queue(releaseSavepoint)
	results := s.tx.SendBatch(ctx, &batch)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // repeats err
		return nil, err     // no savepoint was set, so there is nothing to undo
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close() // repeats err
		return nil, s.undo(ctx, sql, err)
	}
	release := func() error {
		_, err := results.Exec()
		return errors.Join(err, results.Close())
	}
	return &savepointRows{Rows: rows, release: release, discard: results.Close, undo: s.undoOf(ctx, sql)}, nil
}

func (s savepoint) stepwise(ctx context.Context, sql string, args []any) (pgx.Rows, error) {
	if _, err := s.tx.Exec(ctx, setSavepoint); err != nil {
		return nil, err
	}
	if s.mode() == pgx.QueryExecModeCacheStatement {
		if _, err := s.tx.Prepare(ctx, sql, sql); err != nil {
			return nil, s.undo(ctx, sql, err)
		}
		s.memory()[sql] = true
	}
	rows, err := s.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, s.undo(ctx, sql, err)
	}
	release := func() error {
		_, err := s.tx.Exec(ctx, releaseSavepoint)
		return err
	}
	return &savepointRows{Rows: rows, release: release, discard: func() error { return nil }, undo: s.undoOf(ctx, sql)}, nil
}

func (s savepoint) undoOf(ctx context.Context, sql string) func(error) error {
	return func(cause error) error { return s.undo(ctx, sql, cause) }
}

// undo brings the transaction back to where it was before the statement that
// failed with cause. A cancel request that was meant for the statement may hit
// the undoing instead; the transaction stands still meanwhile, so it is repeated.
func (s savepoint) undo(ctx context.Context, sql string, cause error) error {
	if s.tx.Conn().IsClosed() {
		return cause
	}
	var err error
	for range 3 {
		_, err = s.tx.Exec(ctx, undoSavepoint)
		if sqlState(err) != stateQueryCanceled {
			break
		}
	}
	if err == nil && sqlState(cause) == stateFeatureNotSupported {
		err = s.forget(ctx, sql)
	}
	return errors.Join(cause, err)
}

// forget drops a prepared statement whose table has changed under it. pgx does so
// by itself for those that it prepared unasked.
func (s savepoint) forget(ctx context.Context, sql string) error {
	if s.memory()[sql] == nil {
		return nil
	}
	delete(s.memory(), sql)
	return s.tx.Conn().Deallocate(ctx, sql)
}

// savepointRows ends the savepoint when the statement's rows end.
type savepointRows struct {
	pgx.Rows
	release func() error      // after the statement succeeded
	discard func() error      // after it failed, ahead of undo
	undo    func(error) error // returns the error it was given, and its own
	closed  bool
	err     error
}

// Close implements pgx.Rows.
func (r *savepointRows) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.Rows.Close()
	if r.err = r.Rows.Err(); r.err == nil {
		r.err = r.release()
	} else {
		_ = r.discard() // repeats r.err
	}
	if r.err != nil {
		r.err = r.undo(r.err)
	}
}

// Err implements pgx.Rows. It ends the savepoint: only then the answer is known.
func (r *savepointRows) Err() error {
	r.Close()
	return r.err
}

type savepointRow struct {
	rows pgx.Rows
	err  error
}

// Scan implements pgx.Row.
func (r savepointRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	found := r.rows.Next()
	if found {
		// A scan that fails closes the rows with its error, so Err tells of it.
		_ = r.rows.Scan(dest...)
	}
	if err := r.rows.Err(); err != nil {
		return err
	}
	if !found {
		return pgx.ErrNoRows
	}
	return nil
}
