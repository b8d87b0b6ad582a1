package auditdriver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
)

// describe returns an error's text without parts of a row. It omits messages that quote
// values and the texts of unknown errors. The result is one line.
func describe(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && pgError(err) == nil {
		return describeEach(joined.Unwrap())
	}
	return brief(describeOne(err))
}

// describeEach says each thing once. The end of a context is often both a cause and the
// cause's cause.
func describeEach(errs []error) string {
	var texts []string
	for _, err := range errs {
		if err == nil {
			continue
		}
		if text := describe(err); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

func describeOne(err error) string {
	if doubt, ok := errors.AsType[*unconfirmedError](err); ok {
		return doubt.Error()
	}
	if pgErr := pgError(err); pgErr != nil {
		if quotesValues(pgErr.Code) {
			return "SQLSTATE " + pgErr.Code
		}
		return fmt.Sprintf("%s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
	}
	connectErr, isConnect := errors.AsType[*pgconn.ConnectError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	scanErr, isScan := errors.AsType[pgx.ScanArgError](err)
	switch {
	case isConnect:
		return describeConnect(connectErr)
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
	case isScan:
		return fmt.Sprintf("the server's answer cannot be read: column %s has another type or a value that has no place in a record", scanErr.FieldName)
	case isOwn(err), errors.Is(err, pgx.ErrTxClosed), pgconn.SafeToRetry(err):
		return err.Error()
	default:
		return describeUnknown(err)
	}
}

// isOwn reports an error whose text this package makes, without values of a row.
func isOwn(err error) bool {
	_, isTwo := errors.AsType[*twoTrailsError](err)
	_, isPlain := errors.AsType[plainError](err)
	return isTwo || isPlain || errors.Is(err, errNoTrail) || errors.Is(err, errColumns)
}

// describeUnknown names the type of an error of the client. Its own text may quote an
// argument.
func describeUnknown(err error) string {
	if place, ok := unencodable(err); ok {
		return "argument " + place + " (counted from 0) does not fit its column: was the column's type changed? (run migrate validate)"
	}
	for {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			return describeEach(joined.Unwrap())
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("the client failed with an error of type %T, whose text may quote a row: unwrap it to read it", err)
		}
		err = inner
	}
}

// unencodable reports whether an argument does not fit its parameter's type, and which one.
// pgx finds this out before it sends anything, and has no type for the error.
func unencodable(err error) (place string, ok bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, place, found := strings.Cut(err.Error(), "failed to encode args["); found {
			place, _, found = strings.Cut(place, "]")
			return place, found && place != "" && strings.Trim(place, "0123456789") == ""
		}
	}
	return "", false
}

// describeConnect says once what several attempts met, such as those with and without TLS.
func describeConnect(err *pgconn.ConnectError) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	head, rest := lines[0], lines[1:]
	if len(rest) == 0 {
		return head
	}
	return head + " " + strings.Join(rest, "; ")
}

// maxDescription bounds an error's text, in characters. A server's message may have any
// length.
const maxDescription = 300

// brief returns a text on one line, cut to maxDescription.
func brief(text string) string {
	if runes := []rune(text); len(runes) > maxDescription {
		text = string(runes[:maxDescription]) + "…"
	}
	return audit.Printable(text)
}

const (
	recordsTable    = "coordination_audit_records"
	gapsTable       = "coordination_audit_gaps"
	statementsTable = "coordination_audit_statements"
)

// nextStep says what a person can do about a refusal.
func nextStep(state string) string {
	switch state {
	case stateUndefinedTable, stateUndefinedColumn, stateInvalidSchema:
		return "run the migrations (migrate up) and check the search_path"
	case stateUndefinedObject:
		return "correct or remove this parameter in the database URL, or in its options"
	case stateReadOnlyTransaction:
		return "connect to the primary"
	case stateDuplicatePrepared, stateUnknownPrepared:
		return "behind a pooler in transaction mode set default_query_exec_mode=cache_describe (or exec)"
	default:
		return ""
	}
}

// nextReadStep is nextStep for a reading statement.
func nextReadStep(state string) string {
	switch state {
	case stateQueryCanceled:
		return "narrow the query, or raise statement_timeout for this role"
	case stateConfigurationLimit:
		return "narrow the query, or raise the limit (temp_file_limit) for this role"
	default:
		return nextStep(state)
	}
}
