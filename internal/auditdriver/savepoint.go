package auditdriver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	setSavepoint     = "SAVEPOINT coordaudit"
	releaseSavepoint = "RELEASE SAVEPOINT coordaudit"

	// Both in one message of the simple protocol, so that undoing is one round trip too.
	undoSavepoint = "ROLLBACK TO SAVEPOINT coordaudit; RELEASE SAVEPOINT coordaudit"

	// releaseName names the prepared RELEASE. If the session has forgotten it, that shows
	// inside the savepoint.
	releaseName = "coordaudit_release"
)

// savepoint runs each statement inside a savepoint of the caller's transaction. If the
// statement fails, the savepoint is rolled back and the transaction goes on as if the
// statement had never been sent.
//
// The savepoint ends before any of the answer is scanned. So a failure of the client comes
// after the savepoint, and a failure of the server inside it.
//
// SAVEPOINT, the statement and RELEASE are sent together and cost one round trip. SAVEPOINT
// is never prepared by name, and nothing is prepared ahead of it: anyone
// may have made the server forget what was prepared, or pgx what it knows of it. So the
// statements do not go through pgx's batches, which rely on both.
type savepoint struct {
	tx    pgx.Tx
	bound context.Context //nolint:containedctx // only its end is checked; the statements run without it
}

// Query implements dbgen.DBTX.
func (s savepoint) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	run := s.described
	if how := sendingOf(s.tx.Conn()); how.mode == pgx.QueryExecModeSimpleProtocol {
		// All values are in one text. If the database's encoding lacks one of their
		// characters, the whole text fails, SAVEPOINT included.
		run = s.stepwise
		if s.tx.Conn().PgConn().ParameterStatus("server_encoding") == "UTF8" {
			run = s.simple
		}
	}
	a, err := run(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// QueryRow implements dbgen.DBTX.
func (s savepoint) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := s.Query(ctx, sql, args...)
	return answerRow{rows: rows, err: err}
}

// Exec implements dbgen.DBTX.
func (s savepoint) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	rows, err := s.Query(ctx, sql, args...)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return rows.CommandTag(), nil
}

// described runs a statement by its description. A description from an earlier call may be
// out of date. Then the statement fails inside the savepoint, and is described again.
func (s savepoint) described(ctx context.Context, sql string, args []any) (*answer, error) {
	for {
		statement, fresh, err := s.describe(ctx, sql)
		if err != nil {
			return nil, err
		}
		if err := s.bound.Err(); err != nil {
			return nil, notSent(err) // no cancel request would end the statement any more
		}
		a, err := s.pipelined(ctx, sql, statement, args)
		if err == nil || fresh || !outdated(err) || s.tx.Conn().PgConn().TxStatus() != 'T' {
			return a, err
		}
		delete(s.memory(), sql)
	}
}

// memory is the connection's own. It holds the descriptions of statements under their texts.
// A text begins with sqlc's name for it, so no one else uses that key.
func (s savepoint) memory() map[string]any {
	return s.tx.Conn().PgConn().CustomData()
}

// describe returns what the statement's arguments and columns are, or nil for a mode that
// needs no description. It is fresh if the server has just given it.
func (s savepoint) describe(ctx context.Context, sql string) (statement *pgconn.StatementDescription, fresh bool, err error) {
	mode := sendingOf(s.tx.Conn()).mode
	if mode == pgx.QueryExecModeExec {
		return nil, true, nil
	}
	if known, ok := s.memory()[sql].(*pgconn.StatementDescription); ok {
		return known, false, nil
	}
	name := "" // parsed again at each execution
	if mode == pgx.QueryExecModeCacheStatement {
		digest := sha256.Sum256([]byte(sql))
		name = "coordaudit_" + hex.EncodeToString(digest[:24])
	}
	statement, err = s.prepare(ctx, name, sql)
	if err != nil {
		return nil, false, err
	}
	if mode != pgx.QueryExecModeDescribeExec {
		s.memory()[sql] = statement
	}
	return statement, true, nil
}

// prepare prepares a statement in a savepoint of its own: parsing may fail, or wait for a
// lock until it is cancelled. It drops what the session has under the name.
func (s savepoint) prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	pipeline := s.tx.Conn().PgConn().StartPipeline(ctx)
	pipeline.SendQueryParams(setSavepoint, nil, nil, nil, nil)
	pipeline.SendDeallocate(name)
	pipeline.SendPrepare(name, sql, nil)
	if name != "" {
		pipeline.SendDeallocate(releaseName)
		pipeline.SendPrepare(releaseName, releaseSavepoint, nil)
	}
	pipeline.SendQueryParams(releaseSavepoint, nil, nil, nil, nil)
	var statement *pgconn.StatementDescription
	inside := false
	err := pipeline.Sync()
	for more := true; more && err == nil; {
		var result any
		result, err = pipeline.GetResults()
		switch result := result.(type) {
		case *pgconn.ResultReader:
			_, err = result.Close()
			inside = inside || err == nil
		case *pgconn.StatementDescription:
			if statement == nil { // RELEASE comes second
				statement = result
			}
		case *pgconn.CloseComplete:
		default:
			more = false
		}
	}
	if closeErr := pipeline.Close(); err == nil {
		err = closeErr
	}
	switch {
	case err != nil && inside:
		return nil, s.undo(ctx, err)
	case err != nil:
		return nil, err
	}
	statement.Name, statement.SQL = name, sql
	return statement, nil
}

// pipelined sends the statement with its savepoint. An argument that cannot be encoded fails
// before anything is sent.
func (s savepoint) pipelined(ctx context.Context, sql string, statement *pgconn.StatementDescription, args []any) (*answer, error) {
	conn := s.tx.Conn()
	var queries pgx.Batch
	queries.Queue(setSavepoint)
	queries.Queue(sql, args...)
	queries.Queue(releaseSavepoint)
	tracing := traceBatch(ctx, conn, &queries)
	batch, err := encoded(conn, queries.QueuedQueries, sql, statement)
	if err != nil {
		tracing.end(nil, err)
		return nil, err
	}
	results := conn.PgConn().ExecBatch(tracing.ctx, batch) //nolint:contextcheck // the tracer made it from ctx
	var answers []*answer
	for err == nil && results.NextResult() {
		var a *answer
		if a, err = wholeAnswer(pgx.RowsFromResultReader(conn.TypeMap(), results.ResultReader())); err == nil {
			answers = append(answers, a)
		}
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	tracing.end(answers, err)
	switch {
	case err != nil && len(answers) > 0:
		return nil, s.undo(ctx, err)
	case err != nil: // there is no savepoint, so there is nothing to undo
		return nil, err
	}
	return answers[1], nil
}

// encoded makes the message of a batch. A tracer may have replaced the statement.
func encoded(conn *pgx.Conn, queries []*pgx.QueuedQuery, sql string, statement *pgconn.StatementDescription) (*pgconn.Batch, error) {
	var batch pgconn.Batch
	build := &sendingOf(conn).build
	for _, query := range queries {
		if query.SQL == releaseSavepoint && statement != nil && statement.Name != "" {
			batch.ExecPrepared(releaseName, nil, nil, nil)
			continue
		}
		described := statement
		if query.SQL != sql {
			described = nil
		}
		if err := build.Build(conn.TypeMap(), described, query.Arguments); err != nil {
			return nil, err
		}
		switch {
		case described == nil:
			batch.ExecParams(query.SQL, build.ParamValues, nil, build.ParamFormats, nil)
		case described.Name == "":
			batch.ExecParams(query.SQL, build.ParamValues, described.ParamOIDs, build.ParamFormats, build.ResultFormats)
		default:
			// The batch keeps the formats, and the builder uses their memory again.
			batch.ExecStatement(described, build.ParamValues, build.ParamFormats, slices.Clone(build.ResultFormats))
		}
	}
	return &batch, nil
}

// simple is pipelined in the simple protocol. pgx sends such a batch as one text.
func (s savepoint) simple(ctx context.Context, sql string, args []any) (*answer, error) {
	var batch pgx.Batch
	batch.Queue(setSavepoint)
	batch.Queue(sql, args...)
	batch.Queue(releaseSavepoint)
	results := s.tx.SendBatch(ctx, &batch)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // repeats err
		return nil, err     // there is no savepoint, so there is nothing to undo
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close() // repeats err
		return nil, s.undo(ctx, err)
	}
	a, err := wholeAnswer(rows)
	if err == nil {
		_, err = results.Exec()
	}
	if err != nil {
		_ = results.Close() // repeats err
		return nil, s.undo(ctx, err)
	}
	// The savepoint has ended, so there is nothing to undo.
	return a, results.Close()
}

func (s savepoint) stepwise(ctx context.Context, sql string, args []any) (*answer, error) {
	if _, err := s.tx.Exec(ctx, setSavepoint); err != nil {
		return nil, err
	}
	rows, err := s.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, s.undo(ctx, err)
	}
	a, err := wholeAnswer(rows)
	if err == nil {
		_, err = s.tx.Exec(ctx, releaseSavepoint)
	}
	if err != nil {
		return nil, s.undo(ctx, err)
	}
	return a, nil
}

// undo restores the transaction to its state before the statement that failed with cause. A
// cancel request for that statement may hit the undoing instead. The transaction is
// unchanged then, so undo tries again.
func (s savepoint) undo(ctx context.Context, cause error) error {
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
	return errors.Join(cause, err)
}
