package reading

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/internal/events"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// follower prints pages, and keeps the place in the cursor's file.
type follower struct {
	command *Follow
	program *cli.Program
	store   *coordaudit.Store
	query   audit.FollowQuery
	tried   string

	saved   audit.Cursor
	failed  time.Duration // the wait after the last failure; 0 if there was none
	blocked bool          // it was said
}

const (
	firstFollowRetry = 100 * time.Millisecond
	lastFollowRetry  = 5 * time.Second

	// longBlocked is how often the patience must pass before a transaction is named that
	// holds up its own records.
	longBlocked = 10
)

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) error {
	for ctx.Err() == nil {
		page, err := f.store.FollowPage(ctx, f.query)
		if err != nil {
			if err := f.afterFailure(ctx, err); err != nil {
				return err
			}
			continue
		}
		f.failed = 0
		if err := f.deliver(page); err != nil {
			return err
		}
		f.query.From = audit.FromCursor(page.Next)
		f.sayBlocked(page.Lag)
		if page.More {
			continue
		}
		if f.command.Once {
			return nil
		}
		wait.For(ctx, f.command.Poll)
	}
	return nil
}

// deliver prints a page, and then keeps the place after it. A page that cannot be printed
// comes again.
func (f *follower) deliver(page audit.FollowPage) error {
	var text bytes.Buffer
	for i := range page.Records {
		line, err := f.line(&page.Records[i])
		if err != nil {
			return &cli.ShownError{Tried: f.tried, Cause: err}
		}
		text.Write(line)
		text.WriteByte('\n')
	}
	if text.Len() > 0 {
		if err := f.program.Print(text.String()); err != nil {
			return err
		}
	}
	if f.command.Cursor == "" || page.Cursor == f.saved {
		return nil
	}
	if err := durable.ReplaceFile(f.command.Cursor, []byte(string(page.Cursor)+"\n")); err != nil {
		return &cli.ShownError{Tried: f.tried, Cause: fmt.Errorf("keeping the cursor: %w", err), Next: "make the directory of " + format.Printable(f.command.Cursor) + " writable; what was printed last comes again"}
	}
	f.saved = page.Cursor
	return nil
}

// line writes a record in the format that was asked for.
func (f *follower) line(rec *audit.Followed) (line []byte, err error) {
	switch f.command.Format {
	case "json":
		line, err = shared.RecordObject(rec.Record, struct {
			Late     bool `json:"late"`
			Repeated bool `json:"repeated"`
		}{rec.Late, rec.Repeated})
	case "cloudevents":
		line, err = events.CloudEvent(rec, f.command.Source)
	case "ecs":
		line, err = events.ECS(rec)
	default:
		return []byte(f.text(rec)), nil
	}
	return format.EscapeJSON(line), err
}

// text is a record as people read it, in one line.
func (f *follower) text(rec *audit.Followed) string {
	parts := []string{format.Second(rec.DecisionTimestamp), fmt.Sprintf("%-9s", rec.Decision), fmt.Sprintf("%-11s", rec.EnvelopeClass)}
	if f.query.Scope.IsAllTenants() {
		parts = append(parts, format.Folded(format.OrNone(rec.TenantID)))
	}
	parts = append(parts, format.Folded(rec.EnvelopeID), format.Folded(reasonText(rec.Record)))
	if rec.Late {
		parts = append(parts, "(late)")
	}
	if rec.Repeated {
		parts = append(parts, "(perhaps again)")
	}
	return strings.Join(parts, "  ")
}

// afterFailure waits if trying again may help, and else returns the error.
func (f *follower) afterFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was stopped
	}
	if forked, ok := errors.AsType[*audit.CursorForkedError](err); ok && f.command.ResumeFork {
		f.command.ResumeFork = false // once
		f.program.Warn("%s", forked.Reason)
		f.query.From = audit.FromCursor(forked.Resume)
		return nil
	}
	if f.command.Once || !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrLimit) {
		return f.shown(err)
	}
	if f.failed == 0 {
		f.program.Warn("the database is away, trying again: %v", err)
	}
	f.failed = min(max(firstFollowRetry, 2*f.failed), lastFollowRetry)
	wait.For(ctx, f.failed)
	return nil
}

func (f *follower) shown(err error) error {
	shown, ok := errors.AsType[*cli.ShownError](shared.ReadFailed(f.tried, err))
	if !ok {
		return err
	}
	switch _, invalid := errors.AsType[*audit.InvalidQueryError](err); {
	case errors.Is(err, audit.ErrCursorForked):
		shown.Next = "look for what was lost, then add --resume-fork once"
	case invalid && f.command.Cursor != "" && f.saved == "":
		shown.Cause = fmt.Errorf("%s: %w", format.Printable(f.command.Cursor), shown.Cause)
		shown.Next = "give the scope and filters that it was made with, or remove it to begin at --from"
		shown.Code = cli.ExitFailed
	}
	return shown
}

// sayBlocked names transactions that hold up their own records for long, once.
func (f *follower) sayBlocked(lag audit.FollowLag) {
	switch {
	case len(lag.BlockedBy) == 0:
		f.blocked = false
	case !f.blocked && time.Since(lag.BlockedSince) >= longBlocked*max(f.command.Patience, time.Second):
		f.blocked = true
		f.program.Warn("%s has been open since %s; its records come when it ends", strings.Join(lag.BlockedBy, ", "), format.Time(lag.BlockedSince))
	}
}
