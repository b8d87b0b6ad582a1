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
		for _, class := range classesOf(gap.Dropped) {
			if n := gap.Dropped[class]; n > 0 {
				parts = append(parts, string(class)+" "+format.Thousands(n))
			}
		}
		rows = append(rows, gapRow{gap, strings.Join(parts, ", ")})
	}
	return rows
}
