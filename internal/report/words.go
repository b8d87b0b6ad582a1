package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// shown makes visible what a text from the trail may hide: characters that turn
// the line's direction, or that show as nothing. Line breaks and tabs stay.
func shown(value any) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
			return utf8.RuneError
		}
		return r
	}, fmt.Sprint(value))
}

// clipped is a reason at a length that a table bears.
func clipped(reason string) string {
	runes := []rune(reason)
	if len(runes) <= MaxReasonLength {
		return reason
	}
	rest := int64(len(runes) - MaxReasonLength)
	return string(runes[:MaxReasonLength]) + " … (" + plural(rest, "more character") + ")"
}

func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var grouped strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			grouped.WriteByte(',')
		}
		grouped.WriteRune(digit)
	}
	return grouped.String()
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// compact is a number as an axis bears it.
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

// percent never says none or all where it is not so.
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

// length is a share of a drawing's width, 0 to 1, as SVG takes it.
func length(of float64) string {
	return strconv.FormatFloat(100*of, 'f', 3, 64) + "%"
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return at.UTC().Format("2006-01-02 15:04:05")
}

// machine is a time as the attribute datetime takes it.
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

// targetText is the subsystem and the parameter that a record states; empty if
// it states none.
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

// classKey is the class's name in the style sheet, never a text of the trail's.
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
