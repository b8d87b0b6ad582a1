package auditdriver

import (
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// The SQLSTATEs that have a meaning of their own here. The names are PostgreSQL's.
const (
	stateFeatureNotSupported     = "0A000" // also: a cached plan met a changed table
	stateReadOnlyTransaction     = "25006"
	stateWarning                 = "01000"
	stateSerializationFailure    = "40001"
	stateCompletionUnknown       = "40003"
	stateDeadlockDetected        = "40P01"
	stateUnknownPrepared         = "26000"
	stateDuplicatePrepared       = "42P05"
	stateTextTooLong             = "22001"
	stateNotInRepertoire         = "22021" // the encoding lacks a character
	stateUntranslatable          = "22P05" // the database's encoding lacks a character
	stateCheckViolation          = "23514"
	stateInsufficientPrivilege   = "42501"
	stateDatatypeMismatch        = "42804"
	stateUndefinedFunction       = "42883" // also: no such operator
	stateUndefinedColumn         = "42703"
	stateUndefinedTable          = "42P01"
	stateInvalidSchema           = "3F000"
	stateTooManyConnections      = "53300"
	stateConfigurationLimit      = "53400" // such as temp_file_limit
	stateLockNotAvailable        = "55P03"
	stateQueryCanceled           = "57014"
	stateAdminShutdown           = "57P01"
	stateCrashShutdown           = "57P02"
	stateCannotConnectNow        = "57P03"
	stateUndefinedObject         = "42704" // when connecting: a parameter that the server does not know
	stateConnectionException     = "08000"
	stateConnectionDoesNotExist  = "08003"
	stateConnectionFailure       = "08006"
	stateProtocolViolation       = "08P01"
	stateTransactionResolution   = "08007" // transaction resolution unknown
	stateInternalError           = "XX000" // on Citus: a worker failed, perhaps after its commit
	classInsufficientResources   = "53"
	classSystemError             = "58"
	classOperatorIntervention    = "57"
	classConnectionException     = "08"
	classTransactionRollback     = "40"
	classDataException           = "22" // its messages quote values
	classUnknownPrepared         = "26" // a pooler gave the connection to another client
	classAuthorization           = "28"
	classUnknownDatabase         = "3D"
	classPLpgSQLError            = "P0" // anyone writes its messages
	severityFatal, severityPanic = "FATAL", "PANIC"
)

func pgError(err error) *pgconn.PgError {
	pgErr, _ := errors.AsType[*pgconn.PgError](err)
	return pgErr
}

func sqlState(err error) string {
	if pgErr := pgError(err); pgErr != nil {
		return pgErr.Code
	}
	return ""
}

// retryable lists the errors that go away by themselves. Trying again at once is likely to
// help, and is safe because of the id.
func retryable(state string) bool {
	return slices.Contains([]string{
		stateFeatureNotSupported,
		stateSerializationFailure, stateDeadlockDetected,
		stateLockNotAvailable, stateTooManyConnections,
		stateAdminShutdown, stateCrashShutdown, stateCannotConnectNow,
		stateConnectionException, stateConnectionDoesNotExist, stateConnectionFailure,
	}, state)
}

// transient reports that the statement was not at fault: the server could not do it now. All
// other errors are refusals.
func transient(state string) bool {
	switch {
	case retryable(state), state == stateReadOnlyTransaction:
		return true
	case len(state) != 5:
		return false
	}
	return slices.Contains([]string{
		classConnectionException, classTransactionRollback, classInsufficientResources, classOperatorIntervention, classSystemError,
	}, state[:2])
}

// outdated reports a failure that a new preparation of the statement may prevent. The server
// has forgotten the statement, or the types of its columns have changed since. Such a
// failure stores nothing.
func outdated(err error) bool {
	if _, unsendable := unencodable(err); unsendable {
		return true
	}
	return slices.Contains([]string{stateUnknownPrepared, stateFeatureNotSupported, stateDatatypeMismatch, stateUndefinedFunction}, sqlState(err))
}

// inDoubt reports an answer that does not say whether the statement's implicit commit was
// done. A session that the server ended may have ended after the commit.
func inDoubt(pgErr *pgconn.PgError) bool {
	if severity := pgErr.SeverityUnlocalized; severity == severityFatal || severity == severityPanic {
		return true
	}
	return slices.Contains([]string{stateCompletionUnknown, stateTransactionResolution, stateInternalError}, pgErr.Code)
}

// refusesAll reports a state of the session, in which it refuses every record.
func refusesAll(state string) bool {
	return state == stateDuplicatePrepared ||
		len(state) == 5 && slices.Contains([]string{classUnknownPrepared, classAuthorization, classUnknownDatabase}, state[:2])
}

// quotesValues reports whether the server's message may hold parts of a row.
func quotesValues(state string) bool {
	return strings.HasPrefix(state, classDataException) || strings.HasPrefix(state, classPLpgSQLError)
}

// RefusesAll reports a refusal that the session or the table caused, regardless of the record.
// Any other refusal may be due to one row, or meet all of them. A table, a trigger or a policy
// can refuse every row with any SQLSTATE, so the error alone never blames a record. That
// includes a CHECK of the migrations: a valid record passes it, so something else has changed
// the row or the CHECK. The proof is another record that is accepted while this one is refused.
func RefusesAll(err error) bool {
	failure, ok := errors.AsType[*StatementError](err)
	return ok && failure.RefusesAll
}
