package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// shown makes the hidden characters of a text visible: those that change the direction of
// a line, and those that are invisible. Line breaks and tabs stay.
func shown(value any) string {
	before := rune(0)
	return strings.Map(func(r rune) rune {
		hides := r != '\n' && r != '\t' && format.Hides(before, r)
		if before = r; hides {
			return utf8.RuneError
		}
		return r
	}, fmt.Sprint(value))
}

// clipped is a reason, cut to the length that fits a table.
func clipped(reason string) string {
	runes := []rune(reason)
	if len(runes) <= MaxReasonLength {
		return reason
	}
	rest := int64(len(runes) - MaxReasonLength)
	return string(runes[:MaxReasonLength]) + " … (" + format.Plural(rest, "more character") + ")"
}

// compact is a number short enough for an axis.
func compact(n float64) string {
	unit := ""
	for _, next := range []string{"k", "M", "G", "T", "P", "E"} {
		if n < 1000 {
			break
		}
		n, unit = n/1000, next
	}
	return strconv.FormatFloat(n, 'f', -1, 64) + unit
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	if audit.IsInfinite(at) {
		return audit.FormatTime(at)
	}
	return at.UTC().Format("2006-01-02 15:04:05")
}

func bounds(window audit.Window) string {
	switch since, until := window.Since, window.Until; {
	case since.IsZero() && until.IsZero():
		return "all of the trail"
	case until.IsZero():
		return stamp(since) + " UTC until now"
	case since.IsZero():
		return "everything before " + stamp(until) + " UTC"
	default:
		return stamp(since) + " to " + stamp(until) + " UTC"
	}
}

// targetText is the subsystem and the parameter that a record states. It is empty if it
// states none.
func targetText(subsystem, parameter string) string {
	switch {
	case subsystem == "":
		return parameter
	case parameter == "":
		return subsystem
	default:
		return subsystem + " / " + parameter
	}
}
