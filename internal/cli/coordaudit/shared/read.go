package shared

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// TimeoutFlag bounds how long a command reads from the database.
type TimeoutFlag struct {
	Timeout time.Duration `default:"1m" help:"How long the database may take."`
}

// Validate is called by the commands' own Validate.
func (f TimeoutFlag) Validate() error {
	if f.Timeout <= 0 {
		return errors.New("--timeout must be positive")
	}
	return nil
}

// Reading opens a store, and bounds how long read may take.
func (f TimeoutFlag) Reading(ctx context.Context, p *cli.Program, db *Database, tried string, read func(context.Context, *coordaudit.Store) error) error {
	store, err := db.Open(ctx, tried, f.Timeout)
	if err != nil {
		return err
	}
	defer store.Close()
	return f.Bounded(ctx, p, tried, func(ctx context.Context) error { return read(ctx, store) })
}

// Bounded bounds how long read may take, and shows its progress.
func (f TimeoutFlag) Bounded(ctx context.Context, p *cli.Program, tried string, read func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	progress := p.Progress(tried)
	err := read(bounded)
	progress.Stop()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &cli.ShownError{Tried: tried, Cause: cli.ErrInterrupted}
	case bounded.Err() != nil:
		return &cli.ShownError{
			Tried: tried,
			Cause: fmt.Errorf("the database did not answer within %s", f.Timeout),
			Next:  "ask for less, such as a shorter window, or give it more time with --timeout",
		}
	default:
		return ReadFailed(tried, err)
	}
}

// PageFlags say which part of a list is shown.
type PageFlags struct {
	LimitFlag `embed:""`
	Cursor    string `placeholder:"CURSOR" help:"Start where an earlier page ended. Scope, filters, window and order must be the same as for that page."`
}

// LimitFlag bounds a list. A command that does not list records sets listed.
type LimitFlag struct {
	Limit int `default:"${page_size}" help:"The maximum number of ${listed} to show, 1 to ${max_page_size}."`
}

// Validate is called by the commands' own Validate. For the store 0 means its default,
// but a person who types 0 means something else.
func (f LimitFlag) Validate() error {
	if f.Limit < 1 || f.Limit > audit.MaxPageSize {
		return fmt.Errorf("--limit must be 1 to %d", audit.MaxPageSize)
	}
	return nil
}

// SayNext prints the flags to add for the next page. The last flag of a kind counts. A
// cursor belongs to one window, to the microsecond, so sayNext spells out bounds that
// counted from now. JSON has the cursor itself, so with it only such bounds are printed.
func SayNext(p *cli.Program, given WindowFlags, window audit.Window, next audit.Cursor, asJSON bool) {
	flags := given.pinned(window)
	if next == "" || (asJSON && len(flags) == 0) {
		return
	}
	p.Warn("there are more: add %s", strings.Join(append(flags, "--cursor "+string(next)), " "))
}

// Failed is an error of a call of the library as a person sees it. Such an error says itself
// what was tried, so nothing is put before it.
func Failed(err error) *cli.ShownError { return FailedIn("", err) }

// FailedIn is Failed for a call whose error does not say all of what was tried.
func FailedIn(tried string, err error) *cli.ShownError {
	return &cli.ShownError{Tried: tried, Cause: err, Next: nextAfter(err)}
}

// ReadFailed is the error of a reading call as a person sees it.
func ReadFailed(tried string, err error) error {
	if shown, ok := errors.AsType[*cli.ShownError](err); ok { // by the command, such as that no database is given
		return shown
	}
	shown := &cli.ShownError{Tried: tried, Cause: format.Cause(err)}
	if invalid, ok := errors.AsType[*audit.InvalidQueryError](err); ok {
		shown.Cause = errors.New(format.Faults(inFlags(invalid.Faults)))
		shown.Code = cli.ExitUsage
		return shown
	}
	if errors.Is(err, audit.ErrNotFound) {
		return &cli.ShownError{Tried: tried, Cause: audit.ErrNotFound, Next: "check the id and the scope"}
	}
	shown.Next = nextAfter(err)
	return shown
}

// The SQLSTATEs by which a server reports that a query was too large for it.
const (
	stateDiskFull           = "53100"
	stateOutOfMemory        = "53200"
	stateLimitExceeded      = "53400"
	stateLockNotAvailable   = "55P03"
	stateQueryCanceled      = "57014"
	stateConflictOnAStandby = "40001"
)

// nextAfter says what helps against the error of a reading call. It is empty if the error
// says so itself.
func nextAfter(err error) string {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		const less = "or ask for less, such as a shorter window"
		switch answer.Code {
		case stateQueryCanceled:
			return "raise statement_timeout for this role (or in the URL: options=-c%20statement_timeout%3D60s), " + less
		case stateLimitExceeded:
			return "raise temp_file_limit or work_mem for this role, " + less
		case stateDiskFull:
			return "free space on the server, " + less
		case stateOutOfMemory:
			return "lower work_mem for this role, " + less
		case stateLockNotAvailable:
			return "wait until the lock is released, and try again"
		case stateConflictOnAStandby:
			return "try again; on a standby, raise max_standby_streaming_delay"
		}
	}
	if errors.Is(err, audit.ErrUnavailable) {
		return "check that the database runs and that its URL is right, and try again"
	}
	return ""
}
