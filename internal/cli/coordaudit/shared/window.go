package shared

import (
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/bounds"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// WindowFlags bound the time of the decisions. They include the first bound and exclude
// the second. A command that bounds another time sets bounded.
type WindowFlags struct {
	Since string `placeholder:"TIME" default:"${since_default}" help:"${bounded} at or after this time: RFC 3339 with an offset, a day such as 2026-01-31 (from 00:00 UTC), today, yesterday, or how long ago, such as 24h, 7d or 2w.${since_note}"`
	Until string `placeholder:"TIME" help:"${bounded} before this time, in the same forms."`
}

// WeekFlags are windowFlags whose default is the last week. A command that embeds them
// sets since_note itself, because a tag holds one set.
type WeekFlags struct {
	WindowFlags `embed:"" set:"since_default=7d"`
}

// Window reads the bounds. Both count from the same now.
func (f WindowFlags) Window(now time.Time) (audit.Window, error) {
	since, sinceErr := ParseBound("--since", f.Since, now)
	until, untilErr := ParseBound("--until", f.Until, now)
	if err := Together(sinceErr, untilErr); err != nil {
		return audit.Window{}, cli.Misused("reading the window", err)
	}
	if !since.IsZero() && !until.IsZero() && since.After(until) {
		return audit.Window{}, cli.Usage("reading the window", errors.New("--since lies after --until"), "swap them")
	}
	return audit.Window{Since: since, Until: until}.Normalized(), nil
}

// pinned returns flags that mean the same window at any later time. Bounds that do not
// depend on the time need none.
func (f WindowFlags) pinned(window audit.Window) []string {
	var flags []string
	if bounds.IsRelative(f.Since) {
		flags = append(flags, "--since "+format.Time(window.Since))
	}
	if bounds.IsRelative(f.Until) {
		flags = append(flags, "--until "+format.Time(window.Until))
	}
	return flags
}

// ParseBound reads a time, a day, or how long ago it was. An empty text is an open bound.
func ParseBound(flag, text string, now time.Time) (time.Time, error) {
	at, err := bounds.Parse(text, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %w", flag, err)
	}
	return at, nil
}
