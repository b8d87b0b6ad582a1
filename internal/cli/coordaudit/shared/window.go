package shared

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
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
		return audit.Window{}, cli.Usage("reading the window", err, "see --help")
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
	if relative(f.Since) {
		flags = append(flags, "--since "+format.Time(window.Since))
	}
	if relative(f.Until) {
		flags = append(flags, "--until "+format.Time(window.Until))
	}
	return flags
}

// relative reports a bound that depends on the time at which it is read.
func relative(text string) bool {
	_, ago := ParseAgo(text)
	_, day := parseDay(text, time.Time{})
	return ago || day && !strings.Contains(text, "-")
}

// ParseBound reads a time, a day, or how long ago it was. An empty text is an open bound.
func ParseBound(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, ok := ParseAgo(text); ok {
		return now.Add(-ago), nil
	}
	if day, ok := parseDay(text, now); ok {
		return day, nil
	}
	at, ok := parseTime(text)
	if !ok || at.IsZero() {
		return time.Time{}, fmt.Errorf("%s must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z, a day, such as 2026-01-31, today or yesterday, "+
			"or how long ago, such as 24h, 2w or 7d", flag)
	}
	return at, nil
}

// parseTime reads RFC 3339 in all its spellings. It reads a leap second, which Go does not
// know, as the second that follows.
func parseTime(text string) (time.Time, bool) {
	text = strings.Replace(strings.ToUpper(text), " ", "T", 1)
	leap := regexp.MustCompile(`^(.*T\d\d:\d\d):60(?:\.\d+)?(Z|[+-]\d\d:\d\d)$`).FindStringSubmatch(text)
	if leap == nil {
		at, err := time.Parse(time.RFC3339, text)
		return at, err == nil
	}
	at, err := time.Parse(time.RFC3339, leap[1]+":59"+leap[2])
	at = at.Add(time.Second)
	return at, err == nil && at.Equal(at.UTC().Truncate(24*time.Hour)) // leap seconds end a day in UTC
}

// parseDay reads a day as its beginning in UTC.
func parseDay(text string, now time.Time) (time.Time, bool) {
	today := now.UTC().Truncate(24 * time.Hour)
	switch strings.ToLower(text) {
	case "today":
		return today, true
	case "yesterday":
		return today.AddDate(0, 0, -1), true
	}
	day, err := time.Parse(time.DateOnly, text)
	return day, err == nil && !day.IsZero()
}

// ParseAgo reads the durations of Go, and whole days and weeks. Go leaves those out because
// some days have 23 hours, but in UTC none has.
func ParseAgo(text string) (time.Duration, bool) {
	const maxDays = 36_500
	for unit, length := range map[string]uint64{"d": 1, "w": 7} {
		if number, isUnit := strings.CutSuffix(text, unit); isUnit {
			count, err := strconv.ParseUint(number, 10, 16)
			days := count * length
			return time.Duration(min(days, maxDays)) * 24 * time.Hour, err == nil && days <= maxDays
		}
	}
	ago, err := time.ParseDuration(text)
	return ago, err == nil && ago >= 0
}
