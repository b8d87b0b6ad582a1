package auditotel

import (
	"errors"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/hoc-analytics/coordaudit/audit"
)

// errorKind is one value of error.type.
type errorKind struct {
	name  string
	cause error
}

// errorKinds are all values of error.type. They are the errors that a record can end
// with, by their names in package audit, and OpenTelemetry's word for any other. An
// error that wraps several counts as the first of them in this list. That a record was
// dropped matters more than why the database refused it.
func errorKinds() []errorKind {
	return []errorKind{
		{"dropped", audit.ErrDropped},
		{"invalid_record", audit.ErrInvalidRecord},
		{"conflict", audit.ErrConflict},
		{"outcome_unknown", audit.ErrOutcomeUnknown},
		{"tx_unusable", audit.ErrTxUnusable},
		{"tx_lost", audit.ErrTxLost},
		{"closed", audit.ErrClosed},
		{"no_pool", audit.ErrNoPool},
		{"batch_too_large", audit.ErrBatchTooLarge},
		{"refused", audit.ErrRefused},
		{"unavailable", audit.ErrUnavailable},
		{semconv.ErrorTypeOther.Value.AsString(), nil},
	}
}

// kindOf returns the index of the error's kind. The last kind is for all others. The
// first failure decides for a batch's error, because looking into ten thousand would
// take longer than the batch.
func kindOf(kinds []errorKind, err error) int {
	if batch, ok := errors.AsType[*audit.BatchError](err); ok && len(batch.Failures) > 0 {
		err = batch.Failures[0].Err
	}
	other := len(kinds) - 1
	for i, kind := range kinds[:other] {
		if errors.Is(err, kind.cause) {
			return i
		}
	}
	return other
}

// sqlState returns the SQLSTATE of the error, or "". It accepts any error that has
// one, as pgx's has, so that this package needs no driver.
func sqlState(err error) string {
	if batch, ok := errors.AsType[*audit.BatchError](err); ok && len(batch.Failures) > 0 {
		err = batch.Failures[0].Err
	}
	if failed, ok := errors.AsType[*audit.PersistError](err); ok {
		return failed.SQLState
	}
	if answered, ok := errors.AsType[sqlStateError](err); ok {
		return answered.SQLState()
	}
	return ""
}

type sqlStateError interface {
	error
	SQLState() string
}
