package auditdriver

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
)

// StatementError is a statement that the database did not carry out, or may not have carried
// out. Its text is safe to log: it holds no values and no passwords.
type StatementError struct {
	// Kind is the error of package audit that it matches.
	Kind error

	// SQLState is the server's code, or "" if there is none.
	SQLState string

	// Retryable reports whether trying again is likely to help.
	Retryable bool

	// RefusesAll says that the session or the table caused a refusal, regardless of the record.
	// If it is false, the error alone proves nothing about the record: see [RefusesAll].
	RefusesAll bool

	cause  error
	step   string // what a person can do, if the SQLSTATE does not tell
	needed Rights // those of a writer if it is zero
}

// Error names the kind, the cause and, if there is one, the next step.
func (e *StatementError) Error() string {
	parts := []string{e.Kind.Error()}
	if e.cause != nil {
		parts = append(parts, describe(e.cause))
	}
	if step := e.nextStep(); step != "" {
		parts = append(parts, step)
	}
	return strings.Join(parts, ": ")
}

func (e *StatementError) nextStep() string {
	if e.SQLState == stateInsufficientPrivilege {
		return rightsStep(e.cause, cmp.Or(e.needed, WriterRights()))
	}
	return cmp.Or(e.step, nextStep(e.SQLState))
}

// Unwrap returns the kind and the cause.
func (e *StatementError) Unwrap() []error {
	if errors.Is(e.Kind, audit.ErrLimit) {
		return []error{e.Kind, audit.ErrUnavailable, e.cause}
	}
	return []error{e.Kind, e.cause}
}

// Code returns SQLState, for rooms that do not import this one.
func (e *StatementError) Code() string { return e.SQLState }

// Deadlock reports whether the server ended the transaction to break a deadlock.
func (e *StatementError) Deadlock() bool { return e.SQLState == stateDeadlockDetected }

// refusedRow is the refusal of one record for its own sake. Its id is taken by a row that
// cannot be compared with it, or one of its values fits no column.
func refusedRow(cause error) error {
	return &StatementError{Kind: audit.ErrRefused, cause: cause}
}

// refusedAll is the refusal of all that is sent, which blames no record.
func refusedAll(cause error) error {
	return &StatementError{Kind: audit.ErrRefused, RefusesAll: true, cause: cause}
}

// Describe returns an error's text as far as it is safe to log.
func Describe(err error) string {
	return describe(err)
}

// notSent is the failure of a statement that never left this process.
func notSent(err error) error {
	state := sqlState(err)
	if state != "" && !transient(state) {
		return &StatementError{Kind: audit.ErrRefused, SQLState: state, RefusesAll: true, cause: err}
	}
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return &StatementError{Kind: audit.ErrUnavailable, SQLState: state, Retryable: !ended, cause: err}
}

// ownFailure names an error of a statement that was its own transaction.
func ownFailure(ctx context.Context, conn *pgx.Conn, err error) error {
	if err == nil || errors.Is(err, audit.ErrConflict) {
		return err
	}
	if doubt, ok := errors.AsType[*unconfirmedError](err); ok {
		return unconfirmed(ctx, doubt)
	}
	if failure, ok := errors.AsType[*StatementError](err); ok {
		return failure
	}
	pgErr := pgError(err)
	_, unsendable := unencodable(err)
	_, worker := errors.AsType[*workerError](err)
	switch {
	case pgErr == nil && unsendable:
		return refusedRow(err)
	case pgErr == nil && pgconn.SafeToRetry(err) && !hidesLoss(conn):
		return notSent(err)
	case pgErr == nil:
		// The connection broke, or someone cancelled. It is not known how far the commit came.
		return &StatementError{Kind: audit.ErrOutcomeUnknown, Retryable: true, cause: withEnd(ctx, err)}
	case inDoubt(pgErr):
		return &StatementError{Kind: audit.ErrOutcomeUnknown, SQLState: pgErr.Code, Retryable: retryable(pgErr.Code), cause: err}
	case worker:
		return &StatementError{Kind: audit.ErrOutcomeUnknown, SQLState: pgErr.Code, Retryable: retryable(pgErr.Code), cause: withEnd(ctx, err)}
	default:
		return answered(ctx, pgErr.Code, err)
	}
}

// hidesLoss: in the simple protocol pgx drops the error of a failed read. What it then says
// of the closed connection looks like "nothing was sent".
func hidesLoss(conn *pgx.Conn) bool {
	return conn.IsClosed() && conn.Config().DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol
}

// txFailure names an error of a statement in a caller's transaction. Nothing is ever in doubt
// there, since the commit is the caller's.
func txFailure(ctx context.Context, conn *pgx.Conn, err error) error {
	if err == nil || errors.Is(err, audit.ErrConflict) {
		return err
	}
	state := sqlState(err)
	_, unsendable := unencodable(err)
	_, named := errors.AsType[*StatementError](err)
	switch {
	case conn.IsClosed():
		return &StatementError{Kind: audit.ErrTxLost, SQLState: state, cause: withEnd(ctx, err)}
	case conn.PgConn().TxStatus() != 'T':
		return &StatementError{Kind: audit.ErrTxUnusable, SQLState: state, cause: withEnd(ctx, err)}
	case named:
		return err
	case state == "" && unsendable:
		return refusedRow(err)
	case state == "":
		return notSent(err)
	default:
		return answered(ctx, state, err)
	}
}

// answered is the failure of a statement that the server rolled back.
func answered(ctx context.Context, state string, err error) error {
	failed := &StatementError{
		Kind:       audit.ErrRefused,
		SQLState:   state,
		Retryable:  retryable(state),
		RefusesAll: refusesAll(state),
		cause:      withEnd(ctx, err),
	}
	if transient(state) {
		failed.Kind = audit.ErrUnavailable
	}
	if foreign, ok := errors.AsType[*foreignEncodingError](err); ok {
		failed.step = foreign.step()
	}
	return failed
}

// withEnd adds the reason why the call's context ended, if it did. So a caller finds
// context.DeadlineExceeded where the server only says that the statement was cancelled.
func withEnd(ctx context.Context, err error) error {
	return errors.Join(err, context.Cause(ctx))
}

// readFailure names an error of a reading statement.
func readFailure(ctx context.Context, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.ErrNotFound
	}
	failed, named := errors.AsType[*StatementError](err)
	pgErr := pgError(err)
	switch {
	case named:
		return failed
	case pgErr != nil:
		failed = answeredRead(ctx, pgErr, err)
	default:
		failed = &StatementError{Kind: audit.ErrUnavailable, cause: withEnd(ctx, err)}
		if unreadable(err) {
			failed.Kind, failed.step = audit.ErrRefused, "run migrate validate, which names what differs"
		}
	}
	return failed
}

func answeredRead(ctx context.Context, pgErr *pgconn.PgError, err error) *StatementError {
	failed := &StatementError{
		Kind:       audit.ErrRefused,
		SQLState:   pgErr.Code,
		Retryable:  retryable(pgErr.Code),
		RefusesAll: refusesAll(pgErr.Code),
		cause:      withEnd(ctx, err),
		needed:     ReaderRights(),
	}
	cancelledThere := pgErr.Code == stateQueryCanceled && ctx.Err() == nil
	switch {
	case cancelledThere, pgErr.Code == stateConfigurationLimit:
		failed.Kind, failed.step = audit.ErrLimit, nextReadStep(pgErr.Code)
	case transient(pgErr.Code):
		failed.Kind = audit.ErrUnavailable
	default:
		failed.step = nextReadStep(pgErr.Code)
	}
	return failed
}
