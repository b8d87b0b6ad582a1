package reading

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// maxTop is how many tenants and reasons are shown. They are the most frequent ones.
const maxTop = 10

// StatsText shows counts as tables.
func StatsText(scope audit.Scope, found audit.Breakdown, on term.Screen) string {
	var text strings.Builder
	line := func(message string, args ...any) { text.WriteString(on.Wrap("", fmt.Sprintf(message, args...))) }
	line("%s, %s", format.Plural(found.Total, "record"), format.Window(found.Window))
	if found.Total == 0 {
		return text.String()
	}
	line("first seen %s, last seen %s", format.Time(found.FirstSeen), format.Time(found.LastSeen))
	line("at most %s active after a decision", format.Plural(int64(found.MaxActiveEnvelopes), "envelope"))
	text.WriteByte('\n')
	text.WriteString(classTable(found).Text(on) + "\n")
	text.WriteString(term.DayChart(found.ByDay, on) + "\n")
	if scope.IsAllTenants() {
		tenants := term.Table{Columns: []term.Column{term.NumberColumn("RECORDS"), term.NumberColumn("SHARE"), term.IDColumn("TENANT")}}
		text.WriteString(topTable(tenants, found.ByTenant, found.Total, format.OrNone, on) + "\n")
	}
	reasons := term.Table{Columns: []term.Column{term.NumberColumn("RECORDS"), term.NumberColumn("SHARE"), term.ProseColumn("REASON")}}
	text.WriteString(topTable(reasons, found.ByReason, found.Total, func(reason string) string { return reason }, on))
	if len(found.ByReasonCode) > 0 {
		text.WriteString("\n" + codeTable(found, on))
	}
	if len(found.ByParameter) > 0 {
		text.WriteString("\n" + targetTable(found.ByParameter, on))
	}
	return text.String()
}

// classTable has the classes that occur, and the sums of rows and columns. It also counts
// the unknown classes and decisions that an adopted row may have.
func classTable(found audit.Breakdown) *term.Table {
	sums := make(map[audit.Decision]int64)
	for _, counts := range found.ByClassDecision {
		for decision, n := range counts {
			sums[decision] += n
		}
	}
	other := otherDecisions(sums) > 0
	shown := &term.Table{Columns: append([]term.Column{term.TextColumn("CLASS")}, decisionColumns(other)...)}
	shown.Columns = append(shown.Columns, term.NumberColumn("TOTAL"))
	for _, class := range format.Classes(found.ByClassDecision) {
		counts, total := found.ByClassDecision[class], int64(0)
		for _, n := range counts {
			total += n
		}
		name := term.ClassCell(class)
		name.Text = format.OrNone(name.Text)
		shown.Add(append(append([]term.Cell{name}, decisionCells(counts, other)...), term.Count(total))...)
	}
	shown.Add(append(append([]term.Cell{term.Plain("all")}, decisionCells(sums, other)...), term.Count(found.Total))...)
	return shown
}

// decisionColumns has a column for each of our decisions, and one for all others if there
// are any.
func decisionColumns(other bool) (columns []term.Column) {
	for _, decision := range audit.Decisions() {
		columns = append(columns, term.NumberColumn(string(decision)))
	}
	if other {
		columns = append(columns, term.NumberColumn("OTHER"))
	}
	return columns
}

func decisionCells(counts map[audit.Decision]int64, other bool) (cells []term.Cell) {
	for _, decision := range audit.Decisions() {
		cells = append(cells, term.Count(counts[decision]))
	}
	if other {
		cells = append(cells, term.Count(otherDecisions(counts)))
	}
	return cells
}

func otherDecisions(counts map[audit.Decision]int64) (records int64) {
	for decision, n := range counts {
		if !slices.Contains(audit.Decisions(), decision) {
			records += n
		}
	}
	return records
}

// topTable fills a table with the most frequent keys, and with the sum of the others.
func topTable(shown term.Table, counts map[string]int64, total int64, name func(string) string, on term.Screen) string {
	keys := format.ByCount(counts)
	rest := total
	for _, key := range keys[:on.Limit(maxTop, len(keys))] {
		shown.Add(term.Count(counts[key]), term.Plain(percent(counts[key], total)), term.Plain(name(key)))
		rest -= counts[key]
	}
	if rest > 0 {
		shown.Add(term.Count(rest), term.Plain(percent(rest, total)), term.Plain("(all others)"))
	}
	return shown.Text(on)
}

// codeTable has the most frequent reason codes, and the records that state none.
func codeTable(found audit.Breakdown, on term.Screen) string {
	counts := make(map[string]int64, len(found.ByReasonCode))
	none := found.Total - found.OtherReasonCodes
	for code, byDecision := range found.ByReasonCode {
		for _, n := range byDecision {
			counts[code] += n
			none -= n
		}
	}
	if none > 0 {
		counts[""] = none
	}
	shown := term.Table{Columns: []term.Column{term.NumberColumn("RECORDS"), term.NumberColumn("SHARE"), term.IDColumn("REASON CODE")}}
	return topTable(shown, counts, found.Total, format.OrNone, on)
}

func percent(part, whole int64) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(max(whole, 1)))
}

// targetTable has the parameters with the most records.
func targetTable(counts []audit.ParameterCount, on term.Screen) string {
	total := func(count audit.ParameterCount) (n int64) {
		for _, records := range count.ByDecision {
			n += records
		}
		return n
	}
	counts = slices.Clone(counts)
	slices.SortStableFunc(counts, func(a, b audit.ParameterCount) int { return cmp.Compare(total(b), total(a)) })
	shown := term.Table{Columns: []term.Column{term.TextColumn("CLASS"), term.IDColumn("SUBSYSTEM"), term.IDColumn("PARAMETER")}}
	other := slices.ContainsFunc(counts, func(count audit.ParameterCount) bool { return otherDecisions(count.ByDecision) > 0 })
	shown.Columns = append(shown.Columns, decisionColumns(other)...)
	for _, count := range counts[:on.Limit(term.MaxRows, len(counts))] {
		row := []term.Cell{
			term.ClassCell(count.EnvelopeClass),
			term.Plain(format.OrNone(count.TargetSubsystem)),
			term.Plain(format.OrNone(count.TargetParameter)),
		}
		shown.Add(append(row, decisionCells(count.ByDecision, other)...)...)
	}
	return shown.Text(on) + on.Left("", len(counts), on.Limit(term.MaxRows, len(counts)), "target")
}
