package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// fault is an answer that says what is wrong and what to do next. It quotes no record and no
// error of the database.
type fault struct {
	status      int
	title, text string
	next        string
	links       []link // where to go on
	cause       error  // for the log; nil if the request caused the fault
}

type link struct{ Text, Href string }

func (f *fault) Error() string { return f.title + ": " + f.text }

func (f *fault) Unwrap() error { return f.cause }

// faultOf turns the error of a reading call into an answer.
func faultOf(ctx context.Context, err error, timeout time.Duration) *fault {
	if wrong, ok := errors.AsType[*fault](err); ok {
		return wrong
	}
	if invalid, ok := errors.AsType[*audit.InvalidQueryError](err); ok {
		return invalidFault(invalid)
	}
	switch {
	case errors.Is(err, audit.ErrNotFound):
		return notFound()
	case errors.Is(err, audit.ErrLimit) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault{
			status: http.StatusGatewayTimeout, title: "The answer takes too long",
			text: fmt.Sprintf("The database did not answer within %s, or ended the query by a limit of its own.", timeout),
			next: "Ask for less, such as a shorter window.", cause: err,
		}
	case errors.Is(err, audit.ErrRefused):
		text, next := refusal(err)
		return &fault{status: http.StatusInternalServerError, title: "Refused by the database", text: text, next: next, cause: err}
	case isLocked(err):
		return &fault{
			status: http.StatusServiceUnavailable, title: "The database is busy",
			text: locked, next: "Load the page again in a moment.", cause: err,
		}
	case errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrClosed):
		return &fault{
			status: http.StatusServiceUnavailable, title: "The database is away",
			text: "The console cannot reach the database.", next: "Load the page again in a moment.", cause: err,
		}
	}
	return &fault{
		status: http.StatusInternalServerError, title: "The console failed",
		text: "This is a fault of the console.", next: "Load the page again. If it comes back, report it with the time.", cause: err,
	}
}

// coded is an error that has the SQLSTATE of the server.
type coded interface {
	error
	Code() string
}

// locked says that a query waited too long for a lock. The database is there.
const locked = "Another session holds a lock on a table of the trail."

func isLocked(err error) bool {
	of, ok := errors.AsType[coded](err)
	return ok && of.Code() == "55P03" // lock_not_available
}

// refusal says what a refusal of the database means for a console, and what to do.
func refusal(err error) (text, next string) {
	of, ok := errors.AsType[coded](err)
	if !ok {
		return "The database refused the query.", "The log of the console has the cause."
	}
	switch of.Code() {
	case "42501": // insufficient_privilege
		return "The role of this console may not read what this page shows.", "migrate grants --reader gives a role what it needs."
	case "42P01", "3F000": // undefined_table, invalid_schema_name
		return "The database has no such table on the search_path of this console.", "Run migrate up, and check the search_path."
	case "42703": // undefined_column
		return "The schema of the trail is older than this console.", "Run migrate up."
	default:
		return "The database refused the query.", "The log of the console has the cause."
	}
}

// notFound is the answer for what is not there, and for what is there in another scope.
func notFound() *fault {
	return &fault{
		status: http.StatusNotFound, title: "Not found",
		text: "There is no such record in the scope of this console.", next: "Check the id. A record of another scope is not found either.",
		links: []link{{"All records", "/records"}},
	}
}

// invalidFault names the parameters that are wrong. The library's faults quote no values.
func invalidFault(invalid *audit.InvalidQueryError) *fault {
	wrong := &fault{status: http.StatusBadRequest, title: "This link cannot be read", text: format.Faults(invalid.Faults) + ".", next: "Correct the fields, or begin again."}
	for _, one := range invalid.Faults {
		if one.Field == "after" {
			wrong.title = "This link is damaged"
			wrong.text = "Its place in the list belongs to another search, or a part of it was lost."
			wrong.next = "Go to the first page."
		}
	}
	return wrong
}

// badParameter says that a part of a URL cannot be read.
func badParameter(name, reason string) *fault {
	return &fault{
		status: http.StatusBadRequest, title: "This link cannot be read",
		text: name + " " + reason + ".", next: "Correct it, or begin again.",
	}
}

// fail answers with a fault, as a page. What the request did not cause goes to the log.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, wrong *fault) {
	if wrong.cause != nil && r.Context().Err() == nil {
		c.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "coordination_console_refused",
			slog.String("route", r.Pattern), slog.Int("status", wrong.status), slog.String("error", logged(wrong.cause)))
	}
	if wrong.status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", strconv.Itoa(2))
	}
	c.render(w, r, wrong.status, "fault", view{Title: wrong.title, Data: faultView{wrong.title, wrong.text, wrong.next, wrong.links}})
}

type faultView struct {
	Title, Text, Next string
	Links             []link
}

// logged is the cause of an error without what was tried, which may name an envelope.
func logged(err error) string { return audit.Printable(format.OneLine(format.Cause(err))) }

// logUnread logs why the sealed log could not be read.
func (c *Console) logUnread(ctx context.Context, cause string) {
	if ctx.Err() == nil {
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "coordination_console_seal_unread", slog.String("error", audit.Printable(cause)))
	}
}
