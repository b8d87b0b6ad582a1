package format

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Time writes a time as JSON has it.
func Time(at time.Time) string { return audit.FormatTime(at) }

// Clock writes a duration as m:ss, or as h:mm:ss from one hour on.
func Clock(d time.Duration) string {
	s := int64(d.Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Age writes about how long something took: in seconds, minutes, hours or days.
func Age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
}

// Second writes a time to the second, for a table whose title says UTC.
func Second(at time.Time) string { return finiteText(at, time.DateTime) }

// Day writes a day. An infinite time is a day of its own.
func Day(day time.Time) string { return finiteText(day, time.DateOnly) }

func finiteText(at time.Time, layout string) string {
	if audit.IsInfinite(at) {
		return audit.FormatTime(at)
	}
	return at.UTC().Format(layout)
}

// Window says which decisions a command looked at.
func Window(w audit.Window) string {
	switch {
	case w.Since.IsZero() && w.Until.IsZero():
		return "of any time"
	case w.Until.IsZero():
		return "since " + Time(w.Since)
	case w.Since.IsZero():
		return "before " + Time(w.Until)
	default:
		return "from " + Time(w.Since) + " to " + Time(w.Until)
	}
}

// apart says how far one time lies from another one.
func apart(at, from time.Time) string {
	switch {
	case audit.IsInfinite(at) || audit.IsInfinite(from):
		return "at " + Time(at)
	case at.Equal(from):
		return "at the same time"
	case at.Before(from):
		return between(at, from) + " before"
	default:
		return between(from, at) + " later"
	}
}

// between counts days by seconds, since a time.Duration holds 292 years.
func between(first, last time.Time) string {
	const day = 24 * 60 * 60
	if days := (last.Unix() - first.Unix()) / day; days > 2 {
		return fmt.Sprintf("%d days", days)
	}
	return shortly(last.Sub(first))
}

// shortly writes a duration in about three digits.
func shortly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d < time.Second:
		return d.Round(time.Microsecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	default:
		text := d.Round(time.Second).String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, zero) {
				text = text[:len(text)-2]
			}
		}
		return text
	}
}
