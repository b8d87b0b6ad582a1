package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// shown makes the hidden characters of a text visible: those that change the direction of
// a line, and those that are invisible. Line breaks and tabs stay.
func shown(value any) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
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

// percent never rounds to none or to all.
func percent(part, whole int64) string {
	switch of := 100 * ratio(part, whole); {
	case part > 0 && of < 0.1:
		return "< 0.1 %"
	case part < whole && of > 99.9:
		return "> 99.9 %"
	default:
		return strconv.FormatFloat(of, 'f', 1, 64) + " %"
	}
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// length is a share of the width of a drawing, 0 to 1, as SVG writes it.
func length(of float64) string {
	return strconv.FormatFloat(100*of, 'f', 3, 64) + "%"
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

// machine is a time as the attribute datetime needs it.
func machine(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

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

func tenantText(id string) string {
	if id == "" {
		return "no tenant"
	}
	return id
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

// classKey is the name of the class in the style sheet, never a text of the trail.
func classKey(class audit.EnvelopeClass) string {
	switch class {
	case audit.Safety, audit.Reliability, audit.Cost, audit.Performance:
		return strings.ToLower(string(class))
	default:
		return "unknown"
	}
}

// decisionKey is the same for a decision.
func decisionKey(decision audit.Decision) string {
	switch decision {
	case audit.Applied, audit.Rejected, audit.Preempted:
		return strings.ToLower(string(decision))
	default:
		return "unknown"
	}
}
