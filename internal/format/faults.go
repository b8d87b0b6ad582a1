package format

import (
	"errors"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Faults puts all faults of a record or a query into one line.
func Faults(faults []audit.Fault) string {
	parts := make([]string, len(faults))
	for i, fault := range faults {
		subject := fault.Field
		if subject == "" {
			subject = "the line"
		}
		parts[i] = subject + " " + fault.Reason
	}
	return strings.Join(parts, "; ")
}

// FaultsOf returns the faults that made an error, whether the library or the database
// refused the record.
func FaultsOf(err error) []audit.Fault {
	if invalid, ok := errors.AsType[*audit.InvalidRecordError](err); ok {
		return invalid.Faults
	}
	if conflict, ok := errors.AsType[*audit.ConflictError](err); ok {
		return []audit.Fault{{Field: "audit_id", Reason: describeConflict(conflict)}}
	}
	if errors.Is(err, audit.ErrRefused) {
		return []audit.Fault{refusedFault(err)}
	}
	return []audit.Fault{{Reason: err.Error()}}
}

func describeConflict(conflict *audit.ConflictError) string {
	return "is taken by a record with other content; they differ in " + strings.Join(conflict.Fields, ", ")
}

// refusedFault is a refusal by the database as a fault of the record.
func refusedFault(err error) audit.Fault {
	cause := err
	if persist, ok := errors.AsType[*audit.PersistError](err); ok {
		cause = persist.Err
	}
	text := OneLine(cause)
	if !strings.HasPrefix(text, audit.ErrRefused.Error()) {
		text = audit.ErrRefused.Error() + ": " + text
	}
	return audit.Fault{Reason: "is " + text}
}
