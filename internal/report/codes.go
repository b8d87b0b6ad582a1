package report

import (
	"cmp"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// codes is the table of reason codes.
type codes struct {
	Rows []codeRow

	// All is how many codes there are, including those not shown. More says that there are
	// more than were counted one by one.
	All  int64
	More bool

	// Records is how many records state a code.
	Records int64
}

// Cut reports whether there are more than are shown.
func (c codes) Cut() bool { return c.All > int64(len(c.Rows)) }

type codeRow struct {
	Code    string
	Records int64
	Percent string
	Width   string

	// ByDecision has the decisions that occur.
	ByDecision []decisionCount
}

type decisionCount struct {
	Decision audit.Decision
	Count    int64
}

// reasonCodes puts the most frequent codes first.
func reasonCodes(found audit.Breakdown) codes {
	counts := found.ByReasonCode
	table := codes{All: int64(len(counts)), More: found.OtherReasonCodes > 0, Records: found.OtherReasonCodes}
	rows := make([]codeRow, 0, len(counts))
	for code, byDecision := range counts {
		row := codeRow{Code: code}
		for _, decision := range format.Decisions(byDecision) {
			row.ByDecision = append(row.ByDecision, decisionCount{decision, byDecision[decision]})
			row.Records += byDecision[decision]
		}
		table.Records += row.Records
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b codeRow) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Code, b.Code))
	})
	table.Rows = rows[:min(len(rows), MaxReasonCodes)]
	for i := range table.Rows {
		row := &table.Rows[i]
		row.Percent = format.Percent(row.Records, table.Records)
		row.Width = format.Length(format.Ratio(row.Records, rows[0].Records))
	}
	return table
}
