package auditdriver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
)

// errHiddenRow: an insert says that the id is taken, yet no row can be read.
var errHiddenRow = errors.New("the id is taken by a row that this role cannot see (row-level security?)")

// StatementError is a statement that the database did not carry out, or not for sure.
// Its text is safe to log: no values, no passwords.
type StatementError struct {
	// Kind is the error of package audit that it matches.
	Kind error

	// SQLState is the server's code; empty if it gave none.
	SQLState string

	// Retryable: trying again is worth it.
	Retryable bool

	// Blame says of a refusal whether another record may well be stored.
	Blame Blame

	cause error
}

// Error names the kind, the cause and the next step, where there is one.
func (e *StatementError) Error() string {
	parts := []string{e.Kind.Error()}
	if e.cause != nil {
		parts = append(parts, describe(e.cause))
	}
	if step := nextStep(e.SQLState); step != "" {
		parts = append(parts, step)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the kind and the cause.
func (e *StatementError) Unwrap() []error { return []error{e.Kind, e.cause} }

// describe keeps out of the text what may hold parts of a row: messages that
// quote values, and errors of unknown origin such as those of encoding an argument.
func describe(err error) string {
	if pgErr := pgError(err); pgErr != nil {
		if quotesValues(pgErr.Code) {
			return "SQLSTATE " + pgErr.Code
		}
		return fmt.Sprintf("%s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
	}
	connectErr, isConnect := errors.AsType[*pgconn.ConnectError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case isConnect:
		return connectErr.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded.Error()
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case errors.Is(err, net.ErrClosed):
		return "the connection was given up, the server did not answer"
	case isNet:
		return netErr.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case errors.Is(err, errHiddenRow), errors.Is(err, pgx.ErrTxClosed), pgconn.SafeToRetry(err):
		return err.Error()
	default:
		return fmt.Sprintf("unexpected %T, unwrap it for its text", err)
	}
}

// notSent is the failure of a statement that never left this process.
func notSent(err error) error {
	state := sqlState(err)
	if state != "" && !transient(state) {
		return &StatementError{Kind: audit.ErrRefused, SQLState: state, Blame: BlameDatabase, cause: err}
	}
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return &StatementError{Kind: audit.ErrUnavailable, SQLState: state, Retryable: !ended, cause: err}
}

// ownFailure names an error of a statement that was a transaction of its own.
func ownFailure(ctx context.Context, conn *pgx.Conn, err error) error {
	if err == nil || errors.Is(err, audit.ErrConflict) {
		return err
	}
	pgErr := pgError(err)
	switch {
	case errors.Is(err, errHiddenRow):
		return &StatementError{Kind: audit.ErrRefused, Blame: BlameRecord, cause: err}
	case pgErr == nil && pgconn.SafeToRetry(err) && !hidesLoss(conn):
		return notSent(err)
	case pgErr == nil:
		// The connection broke, so nobody knows how far the commit had come.
		return &StatementError{Kind: audit.ErrOutcomeUnknown, Retryable: true, cause: withEnd(ctx, err)}
	case inDoubt(pgErr):
		return &StatementError{Kind: audit.ErrOutcomeUnknown, SQLState: pgErr.Code, Retryable: retryable(pgErr.Code), cause: err}
	default:
		return answered(ctx, pgErr.Code, err)
	}
}

// hidesLoss: in the simple protocol pgx drops the error of a read that fails, and
// what it then says of the closed connection passes for "nothing was sent".
func hidesLoss(conn *pgx.Conn) bool {
	return conn.IsClosed() && conn.Config().DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol
}

// txFailure names an error of a statement in a caller's transaction. Nothing is
// ever in doubt there: the commit is the caller's.
func txFailure(ctx context.Context, conn *pgx.Conn, err error) error {
	if err == nil || errors.Is(err, audit.ErrConflict) {
		return err
	}
	state := sqlState(err)
	switch {
	case conn.IsClosed():
		return &StatementError{Kind: audit.ErrTxLost, SQLState: state, cause: withEnd(ctx, err)}
	case conn.PgConn().TxStatus() != 'T':
		return &StatementError{Kind: audit.ErrTxUnusable, SQLState: state, cause: withEnd(ctx, err)}
	case errors.Is(err, errHiddenRow):
		return &StatementError{Kind: audit.ErrRefused, Blame: BlameRecord, cause: err}
	case state == "":
		return notSent(err)
	default:
		return answered(ctx, state, err)
	}
}

// answered is the failure of a statement that the server rolled back.
func answered(ctx context.Context, state string, err error) error {
	kind := audit.ErrRefused
	if transient(state) {
		kind = audit.ErrUnavailable
	}
	return &StatementError{
		Kind:      kind,
		SQLState:  state,
		Retryable: retryable(state),
		Blame:     blame(state),
		cause:     withEnd(ctx, err),
	}
}

// withEnd adds why the call's context ended, if it did, so that a caller finds
// context.DeadlineExceeded where the server only says that it was cancelled.
func withEnd(ctx context.Context, err error) error {
	return errors.Join(err, context.Cause(ctx))
}

// readFailure names an error of a reading statement.
func readFailure(ctx context.Context, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.ErrNotFound
	}
	if state := sqlState(err); state != "" {
		return answered(ctx, state, err)
	}
	return &StatementError{Kind: audit.ErrUnavailable, cause: withEnd(ctx, err)}
}
