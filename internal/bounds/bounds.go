// Package bounds reads the times that people type: a bound of a window is a time, a day, or
// how long ago it was. The commands and the console share it.
package bounds

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrUnreadable says which forms a bound has.
var ErrUnreadable = errors.New("must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z, a day, such as 2026-01-31, today or yesterday, " +
	"or how long ago, such as 24h, 2w or 7d")

// Parse reads a time, a day, or how long ago it was. An empty text is an open bound.
func Parse(text string, now time.Time) (time.Time, error) {
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
		return time.Time{}, ErrUnreadable
	}
	return at, nil
}

// IsRelative reports a bound that depends on the time at which it is read.
func IsRelative(text string) bool {
	_, ago := ParseAgo(text)
	_, day := parseDay(text, time.Time{})
	return ago || day && !strings.Contains(text, "-")
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
