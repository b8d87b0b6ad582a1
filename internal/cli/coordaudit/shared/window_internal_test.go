package shared

import (
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 13, 14, 15, 0, time.FixedZone("", 14*60*60)) // in UTC it is still February
	day := func(month time.Month, d int) time.Time { return time.Date(2026, month, d, 0, 0, 0, 0, time.UTC) }
	for text, want := range map[string]time.Time{
		"":                          {},
		"2026-01-01":                day(1, 1),
		"today":                     day(2, 28),
		"Yesterday":                 day(2, 27),
		"1w":                        now.AddDate(0, 0, -7),
		"2d":                        now.AddDate(0, 0, -2),
		"90m":                       now.Add(-90 * time.Minute),
		"2026-01-31T12:00:00Z":      day(1, 31).Add(12 * time.Hour),
		"2026-01-31t12:00:00z":      day(1, 31).Add(12 * time.Hour),
		"2026-01-31 12:00:00+02:00": day(1, 31).Add(10 * time.Hour),
		"2016-12-31T23:59:60Z":      time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC),
		"2017-01-01T01:59:60+02:00": time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC),
		"2016-12-31T23:59:60.5Z":    time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := ParseBound("--since", text, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"2026-02-30", "2026-01-01T00:00:00", "12:00", "tomorrow", "-1w", "1.5w", "-3h", "w", "2026-01-31T12:00:60Z", "2026-W05", "9999w"} {
		if got, err := ParseBound("--since", text, now); err == nil || !strings.Contains(err.Error(), "2026-01-31") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// The cursor of a page belongs to its window, so a moving bound is printed as a time.
func TestPinnedBounds(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	window := audit.Window{Since: noon, Until: noon.Add(time.Hour)}
	for text, pinned := range map[string]int{"7d": 2, "1w": 2, "today": 2, "yesterday": 2, "2026-01-01": 0, "2026-01-01T00:00:00Z": 0, "": 0} {
		if flags := (WindowFlags{Since: text, Until: text}).pinned(window); len(flags) != pinned {
			t.Errorf("%q: %v", text, flags)
		}
	}
}
