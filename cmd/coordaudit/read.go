package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// timeoutFlag bounds a command's questions to the database.
type timeoutFlag struct {
	Timeout time.Duration `default:"1m" help:"How long the database may take."`
}

// Validate is called by the commands' own Validate.
func (f timeoutFlag) Validate() error {
	if f.Timeout <= 0 {
		return errors.New("--timeout must be longer than nothing")
	}
	return nil
}

// reading opens a store and bounds what read asks of it.
func (f timeoutFlag) reading(ctx context.Context, db *database, tried string, read func(context.Context, *coordaudit.Store) error) error {
	store, err := db.open(ctx, tried, f.Timeout)
	if err != nil {
		return err
	}
	defer store.Close()
	bounded, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	err = read(bounded, store)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &failure{tried: tried, cause: errInterrupted}
	case bounded.Err() != nil:
		return &failure{
			tried: tried,
			cause: fmt.Errorf("the database did not answer within %s", f.Timeout),
			next:  "ask for less, such as a shorter window, or give it more time with --timeout",
		}
	default:
		return readFailed(tried, err)
	}
}

// pageFlags say which part of a list is shown.
type pageFlags struct {
	limitFlag `embed:""`
	Cursor    string `placeholder:"CURSOR" help:"Go on where an earlier page ended. Scope, filters, window and order must be those of that page."`
}

// limitFlag bounds a list. A command that lists something else than records sets
// listed.
type limitFlag struct {
	Limit int `default:"${page_size}" help:"The most ${listed} to show, 1 to ${max_page_size}."`
}

// Validate is called by the commands' own Validate. To the store 0 is its
// default; who types it means something else.
func (f limitFlag) Validate() error {
	if f.Limit < 1 || f.Limit > audit.MaxPageSize {
		return fmt.Errorf("--limit must be 1 to %d", audit.MaxPageSize)
	}
	return nil
}

// sayNext says how to get the page that follows: flags to add, of which the last
// of a kind counts. A cursor belongs to one window to the microsecond, so bounds
// that were reckoned from now are given as what they were. JSON holds the cursor,
// so there only such bounds are left to say.
func sayNext(p *program, given windowFlags, window audit.Window, next audit.Cursor, asJSON bool) {
	flags := given.pinned(window)
	if next == "" || (asJSON && len(flags) == 0) {
		return
	}
	p.warn("there are more: add %s", strings.Join(append(flags, "--cursor "+string(next)), " "))
}
