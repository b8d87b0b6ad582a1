package audit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Every error of a persist call matches one of these with [errors.Is]. They
// differ in what the caller can do next.
var (
	// ErrInvalidRecord: the record itself is at fault; see [InvalidRecordError].
	// Nothing was sent to the database. Mend the record.
	ErrInvalidRecord = errors.New("invalid audit record")

	// ErrConflict: another record stands under this id; see [ConflictError]. It
	// stays as it is. Use a new id, or find out who used this one.
	ErrConflict = errors.New("audit id is taken by a record with other content")

	// ErrUnavailable: the database could not do it now (no connection, time spent,
	// lock, shutdown). Nothing was stored. Try again with the same id.
	ErrUnavailable = errors.New("database unavailable")

	// ErrRefused: the database answered and said no (missing table, missing right,
	// constraint). Nothing was stored, and trying again alone will not help.
	ErrRefused = errors.New("refused by the database")

	// ErrOutcomeUnknown: the connection was lost while the commit was under way.
	// The record may or may not be stored. Try again with the same id: the answer
	// is then Persisted or AlreadyPersisted, and the trail holds it once.
	ErrOutcomeUnknown = errors.New("outcome unknown, the record may or may not be stored")

	// ErrTxUnusable: the caller's transaction was aborted or finished before this
	// call. It was left as it is; nothing was stored. Roll it back.
	ErrTxUnusable = errors.New("the caller's transaction is aborted or finished")

	// ErrTxLost: the caller's transaction ended under this call because its
	// connection broke. It rolled back; nothing of it was stored. Start it again.
	ErrTxLost = errors.New("the caller's transaction was lost with its connection")

	// ErrClosed: the store or the recorder was closed before the call.
	ErrClosed = errors.New("audit store is closed")

	// ErrNoPool: the store was made without a pool, so that only the calls that
	// bring a transaction work.
	ErrNoPool = errors.New("audit store has no connection pool")

	// ErrBatchTooLarge: a batch holds more records than one statement takes.
	ErrBatchTooLarge = errors.New("batch of audit records is too large")
)

// Errors of a recorder.
var (
	// ErrPending: the record is accepted and not stored yet. The recorder keeps it,
	// in its queue or in its dead-letter directory, and goes on trying. Nothing is
	// left to do; persisting it again with the same id is safe.
	ErrPending = errors.New("accepted, not stored yet")

	// ErrDropped: the queue is full and the dead-letter directory takes nothing, so
	// the record is lost unless its caller keeps it. It is counted, and a [Gap] will
	// say so in the trail.
	ErrDropped = errors.New("dropped, there is no room left to keep it")

	// ErrDirectoryInUse: another recorder, of this process or another one, writes to
	// the dead-letter directory. Give each its own.
	ErrDirectoryInUse = errors.New("dead-letter directory is in use by another recorder")
)

// Errors of reading calls.
var (
	// ErrNotFound: no record with this id in this scope.
	ErrNotFound = errors.New("audit record not found")

	// ErrNoScope: the query does not say whose records it may see.
	ErrNoScope = errors.New("no scope given")

	// ErrInvalidQuery: the query itself is at fault; see [InvalidQueryError].
	// Nothing was sent to the database. Mend the query.
	ErrInvalidQuery = errors.New("invalid audit query")
)

// Fault is one thing wrong with a record or a query.
type Fault struct {
	// Field is the field's name in SQL and JSON, such as "tenant_id" or "limit";
	// empty if the whole is at fault, as with broken JSON.
	Field string

	// Reason says what is wrong, without repeating the value.
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

// ConflictError says that a record with other content stands under the same
// id. It matches [ErrConflict].
type ConflictError struct {
	AuditID uuid.UUID

	// Fields are the names of the fields that differ, in column order.
	Fields []string
}

// Error names the fields that differ, not their values.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v, they differ in %s", ErrConflict, strings.Join(e.Fields, ", "))
}

// Is reports whether target is [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// PersistError is the error of one record that could not be persisted. It
// wraps one of the errors above and, where PostgreSQL answered, its
// *pgconn.PgError. Its text holds no content of the record.
type PersistError struct {
	// AuditID is the record's id, also if the failing call made it.
	AuditID uuid.UUID

	// SQLState is PostgreSQL's error code; empty if it gave none.
	SQLState string

	// Attempts is how often the record was sent; 0 if it never was.
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

// BatchError says which records of a batch could not be persisted. The records
// that it does not name were. [errors.Is] and [errors.As] look into each.
type BatchError struct {
	// Total is the size of the batch.
	Total int

	// Failures are the failed records, in the batch's order.
	Failures []BatchFailure
}

// BatchFailure is one failed record of a batch.
type BatchFailure struct {
	// Index is the record's place in the batch, from 0.
	Index int

	// Err says why.
	Err *PersistError
}

// Error counts the failures and gives the first.
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
