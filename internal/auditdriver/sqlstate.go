package auditdriver

import (
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs that are decided on one by one. The names are PostgreSQL's.
const (
	stateFeatureNotSupported     = "0A000" // also: a cached plan met a changed table
	stateReadOnlyTransaction     = "25006"
	stateSerializationFailure    = "40001"
	stateCompletionUnknown       = "40003"
	stateDeadlockDetected        = "40P01"
	stateUnknownPrepared         = "26000"
	stateDuplicatePrepared       = "42P05"
	stateInsufficientPrivilege   = "42501"
	stateUndefinedColumn         = "42703"
	stateUndefinedTable          = "42P01"
	stateTooManyConnections      = "53300"
	stateLockNotAvailable        = "55P03"
	stateQueryCanceled           = "57014"
	stateAdminShutdown           = "57P01"
	stateCrashShutdown           = "57P02"
	stateCannotConnectNow        = "57P03"
	stateConnectionException     = "08000"
	stateConnectionDoesNotExist  = "08003"
	stateConnectionFailure       = "08006"
	stateTransactionResolution   = "08007" // transaction resolution unknown
	stateInternalError           = "XX000" // on Citus: a worker failed, perhaps after its commit
	classInsufficientResources   = "53"
	classSystemError             = "58"
	classOperatorIntervention    = "57"
	classConnectionException     = "08"
	classTransactionRollback     = "40"
	classDataException           = "22" // its messages quote values
	classIntegrityViolation      = "23"
	classUnknownPrepared         = "26" // a pooler gave the connection to another
	classAuthorization           = "28"
	classUnknownDatabase         = "3D"
	classUnknownSchema           = "3F"
	classSyntaxErrorOrAccess     = "42" // a table or a right is missing
	classCheckOptionViolation    = "44"
	classProgramLimitExceeded    = "54" // an index row that is too large, say
	classPLpgSQLError            = "P0" // its messages are anybody's
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

// retryable lists the errors that go away by themselves: trying again at once is
// safe (the id makes it idempotent) and likely to help.
func retryable(state string) bool {
	return slices.Contains([]string{
		stateFeatureNotSupported,
		stateSerializationFailure, stateDeadlockDetected,
		stateLockNotAvailable, stateTooManyConnections,
		stateAdminShutdown, stateCrashShutdown, stateCannotConnectNow,
		stateConnectionException, stateConnectionDoesNotExist, stateConnectionFailure,
	}, state)
}

// transient reports that the statement was not at fault: the server could not do
// it now. What is not transient is a refusal.
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

// inDoubt reports an answer that does not say whether the statement's implicit
// commit was done. A session that the server ended may have been ended after it.
func inDoubt(pgErr *pgconn.PgError) bool {
	if severity := pgErr.SeverityUnlocalized; severity == severityFatal || severity == severityPanic {
		return true
	}
	return slices.Contains([]string{stateCompletionUnknown, stateTransactionResolution, stateInternalError}, pgErr.Code)
}

// Blame is whose fault a refusal is, as far as its SQLSTATE tells.
type Blame int

const (
	// BlameUnknown is of one row or of all of them. A trigger's error is of either kind, and
	// a policy's is the one of a missing right.
	BlameUnknown Blame = iota

	// BlameRecord says that a row's own values were refused.
	BlameRecord

	// BlameDatabase says that no row's values can cause it.
	BlameDatabase
)

func blame(state string) Blame {
	switch {
	case len(state) != 5, state == stateInsufficientPrivilege:
		return BlameUnknown
	case slices.Contains([]string{
		classDataException, classIntegrityViolation, classCheckOptionViolation, classProgramLimitExceeded,
	}, state[:2]):
		return BlameRecord
	case slices.Contains([]string{
		classSyntaxErrorOrAccess, classUnknownPrepared, classAuthorization, classUnknownDatabase, classUnknownSchema,
	}, state[:2]):
		return BlameDatabase
	default:
		return BlameUnknown
	}
}

// quotesValues reports whether the server's message may hold parts of a row.
func quotesValues(state string) bool {
	return strings.HasPrefix(state, classDataException) || strings.HasPrefix(state, classPLpgSQLError)
}

// nextStep says what a person can do about a refusal.
func nextStep(state string) string {
	switch state {
	case stateUndefinedTable, stateUndefinedColumn:
		return "run the migrations (migrate up) and check the search_path"
	case stateInsufficientPrivilege:
		return "grant this role INSERT and SELECT on coordination_audit_records and coordination_audit_gaps"
	case stateReadOnlyTransaction:
		return "connect to the primary"
	case stateDuplicatePrepared, stateUnknownPrepared:
		return "behind a pooler in transaction mode set default_query_exec_mode=cache_describe (or exec)"
	default:
		return ""
	}
}
