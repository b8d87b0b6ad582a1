package audit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Every error of a persist call matches one of these with [errors.Is]. They differ in
// what the caller can do next.
var (
	// ErrInvalidRecord: the record itself is at fault. [InvalidRecordError] has every
	// fault. Nothing was sent to the database. Correct the record.
	ErrInvalidRecord = errors.New("invalid audit record")

	// ErrConflict: another record is stored under this id and stays as it is.
	// [ConflictError] names the fields that differ. Use a new id, or find out who used
	// this one.
	ErrConflict = errors.New("audit id is taken by a record with other content")

	// ErrUnavailable: the database could not do it now (no connection, time ran out, lock,
	// shutdown). Nothing was stored. Try again with the same id.
	ErrUnavailable = errors.New("database unavailable")

	// ErrRefused: the database answered and refused (missing table, missing right,
	// constraint). Nothing was stored. Trying again alone does not help.
	ErrRefused = errors.New("refused by the database")

	// ErrLimit: a limit of the server ended the statement (statement_timeout,
	// temp_file_limit), or someone cancelled it on the server. The database is available.
	// An error that matches ErrLimit also matches [ErrUnavailable]. Reading calls return
	// it. Narrow the query, or raise the limit for the role.
	ErrLimit = errors.New("ended by a limit of the server")

	// ErrOutcomeUnknown: the commit cannot be relied on. Either the connection was lost
	// during the commit, or the call's own timeout or an administrator cancelled its wait
	// for the disk or a standby. The record may or may not be stored, and a failover may
	// lose it. Try again with the same id. The outcome is then Persisted or
	// AlreadyPersisted, and the trail holds the record once.
	ErrOutcomeUnknown = errors.New("outcome unknown, the record may or may not be stored")

	// ErrTxUnusable: the caller's transaction was aborted or finished before this call.
	// The call did not touch it, and nothing was stored. Roll it back.
	ErrTxUnusable = errors.New("the caller's transaction is aborted or finished")

	// ErrTxLost: the connection of the caller's transaction broke during this call. The
	// transaction rolled back and nothing of it was stored. Start it again.
	ErrTxLost = errors.New("the caller's transaction was lost with its connection")

	// ErrClosed: the store or the recorder was closed before the call. The error that wraps it
	// says which.
	ErrClosed = errors.New("closed")

	// ErrNoPool: the store was made without a pool. Only the calls that take a
	// transaction work.
	ErrNoPool = errors.New("audit store has no connection pool")

	// ErrBatchTooLarge: a batch holds more records than one statement takes.
	ErrBatchTooLarge = errors.New("batch of audit records is too large")
)

// Errors of a recorder.
var (
	// ErrPending: the record is accepted and not stored yet. The recorder keeps it in its
	// queue or its spool and goes on trying. The caller need not do anything. Persisting
	// the record again with the same id is safe.
	ErrPending = errors.New("accepted, not stored yet")

	// ErrDropped: the queue is full and the spool takes nothing, so the record is lost
	// unless its caller keeps it. It is counted, and a [Gap] will report it in the trail.
	ErrDropped = errors.New("dropped, there is no room left to keep it")

	// ErrDirectoryInUse: another recorder writes to the spool, in this process or another
	// one. Give each recorder its own directory.
	ErrDirectoryInUse = errors.New("spool is in use by another recorder: give each a directory of its own")
)

// Errors of reading lines.
var (
	// ErrNewerFormat: the line was written by a later version of this module, which knows
	// more about records. [ParseRecord] returns it, and it does not match [ErrInvalidRecord].
	// Keep the line and read it with that version.
	ErrNewerFormat = errors.New("audit record is in a newer format")
)

// Errors of reading calls.
var (
	// ErrNotFound: there is no record with this id in this scope.
	ErrNotFound = errors.New("audit record not found")

	// ErrNoScope: the query does not say whose records it sees.
	ErrNoScope = errors.New("no scope given")

	// ErrInvalidQuery: the query itself is at fault. [InvalidQueryError] has every fault.
	// Nothing was sent to the database. Correct the query.
	ErrInvalidQuery = errors.New("invalid audit query")
)

// Fault is one thing wrong with a record or a query.
type Fault struct {
	// Field is the field's name in SQL and JSON, such as "tenant_id" or "limit". It is
	// empty if the whole is at fault, as with broken JSON.
	Field string

	// Reason says what is wrong. It does not repeat the value.
	Reason string
}

// InvalidRecordError holds every fault of one record. It matches [ErrInvalidRecord].
type InvalidRecordError struct {
	Faults []Fault
}

// Error names each field and what is wrong with it.
func (e *InvalidRecordError) Error() string { return faultsText(ErrInvalidRecord, e.Faults) }

// Is reports whether target is [ErrInvalidRecord].
func (e *InvalidRecordError) Is(target error) bool { return target == ErrInvalidRecord }

// InvalidQueryError holds every fault of one query. It matches [ErrInvalidQuery].
type InvalidQueryError struct {
	Faults []Fault
}

// Error names each field and what is wrong with it.
func (e *InvalidQueryError) Error() string { return faultsText(ErrInvalidQuery, e.Faults) }

// Is reports whether target is [ErrInvalidQuery].
func (e *InvalidQueryError) Is(target error) bool { return target == ErrInvalidQuery }

func faultsText(kind error, faults []Fault) string {
	var text strings.Builder
	text.WriteString(kind.Error())
	for i, fault := range faults {
		text.WriteString([]string{": ", "; "}[min(i, 1)])
		if fault.Field != "" {
			text.WriteString(fault.Field + " ")
		}
		text.WriteString(fault.Reason)
	}
	return text.String()
}

func invalidField(field, reason string) error {
	return &InvalidRecordError{Faults: []Fault{{Field: field, Reason: reason}}}
}

// ConflictError says that a record with other content is stored under the same id. It
// matches [ErrConflict].
type ConflictError struct {
	AuditID uuid.UUID

	// Fields are the names of the fields that differ, in column order.
	Fields []string
}

// Error names the fields that differ, not their values.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: it differs in %s", ErrConflict, strings.Join(e.Fields, ", "))
}

// Is reports whether target is [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// PersistError is the error of one record that could not be persisted. It wraps one of
// the errors above and, if PostgreSQL answered, its *pgconn.PgError. Its text holds no
// content of the record.
type PersistError struct {
	// AuditID is the record's id, even if the failing call made it.
	AuditID uuid.UUID

	// SQLState is PostgreSQL's error code, or "" if there is none.
	SQLState string

	// Attempts is how often the record was sent. It is 0 if it never was.
	Attempts int

	// Err is the cause.
	Err error
}

// Error names the record, the cause and, through the cause, the next step.
func (e *PersistError) Error() string {
	return fmt.Sprintf("persisting audit record %s: %v", e.AuditID, e.Err)
}

// Unwrap returns the cause.
func (e *PersistError) Unwrap() error { return e.Err }

// BatchError lists the records of a batch that could not be persisted. All others were
// persisted. [errors.Is] and [errors.As] look into each failure.
type BatchError struct {
	// Total is the size of the batch.
	Total int

	// Failures are the failed records, in the batch's order.
	Failures []BatchFailure
}

// BatchFailure is one failed record of a batch.
type BatchFailure struct {
	// Index is the record's index in the batch, from 0.
	Index int

	// Err is the record's error.
	Err *PersistError
}

// Error gives the number of failures and the first one.
func (e *BatchError) Error() string {
	first := e.Failures[0]
	return fmt.Sprintf("%d of %d audit records failed; the first, at index %d: %v", len(e.Failures), e.Total, first.Index, first.Err)
}

// Unwrap returns the errors of the failed records.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, failure := range e.Failures {
		errs[i] = failure.Err
	}
	return errs
}
