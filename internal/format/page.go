package format

import (
	"strconv"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The texts of pages: the report and the console write them alike.

// ClassKey is the name of a class in a style sheet, never a text of the trail.
func ClassKey(class audit.EnvelopeClass) string {
	switch class {
	case audit.Safety, audit.Reliability, audit.Cost, audit.Performance:
		return strings.ToLower(string(class))
	default:
		return "unknown"
	}
}

// DecisionKey is the same for a decision.
func DecisionKey(decision audit.Decision) string {
	switch decision {
	case audit.Applied, audit.Rejected, audit.Preempted:
		return strings.ToLower(string(decision))
	default:
		return "unknown"
	}
}

// Tenant is the id of a tenant, which a record may lack.
func Tenant(id string) string {
	if id == "" {
		return "no tenant"
	}
	return id
}

// Ratio is 0 where there is no whole.
func Ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Percent never rounds to none or to all.
func Percent(part, whole int64) string {
	switch of := 100 * Ratio(part, whole); {
	case part > 0 && of < 0.1:
		return "< 0.1 %"
	case part < whole && of > 99.9:
		return "> 99.9 %"
	default:
		return strconv.FormatFloat(of, 'f', 1, 64) + " %"
	}
}

// Length is a share of the width of a drawing, 0 to 1, as SVG writes it.
func Length(of float64) string {
	return strconv.FormatFloat(100*of, 'f', 3, 64) + "%"
}

// Machine is a time as the attribute datetime needs it.
func Machine(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
