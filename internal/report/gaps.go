package report

import (
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// gapRow is a row of the table of gaps.
type gapRow struct {
	audit.Gap
	Dropped string // by class
}

func gapRows(gaps []audit.Gap) []gapRow {
	rows := make([]gapRow, 0, min(len(gaps), MaxGaps))
	for _, gap := range gaps[:min(len(gaps), MaxGaps)] {
		var parts []string
		for _, class := range format.Classes(gap.Dropped) {
			if n := gap.Dropped[class]; n > 0 {
				parts = append(parts, string(class)+" "+format.Thousands(n))
			}
		}
		rows = append(rows, gapRow{gap, strings.Join(parts, ", ")})
	}
	return rows
}

// lossesText says at the head of the report how many records are known to be missing.
func lossesText(data Data) string {
	switch n := len(data.Gaps); {
	case data.GapsUnread:
		return "not known"
	case n == 0:
		return "none in this window, as far as is on record"
	case n > MaxGaps:
		return "more than " + format.Plural(MaxGaps, "gap") + " in this window"
	default:
		var total int64
		for _, gap := range data.Gaps {
			total += gap.Total()
		}
		return format.Plural(int64(n), "gap") + " in this window, " + format.Plural(total, "record") + " missing"
	}
}
