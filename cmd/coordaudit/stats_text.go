package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// mostTop is how many tenants and reasons are shown, the most frequent ones.
const mostTop = 10

func statsText(scope audit.Scope, found audit.Breakdown, paint func(colour, text string) string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s\n", plural(found.Total, "record"), windowText(found.Window))
	if found.Total == 0 {
		return text.String()
	}
	fmt.Fprintf(&text, "first seen %s, last seen %s\n", timeText(found.FirstSeen), timeText(found.LastSeen))
	fmt.Fprintf(&text, "at most %s active after a decision\n\n", plural(int64(found.MaxActiveEnvelopes), "envelope"))
	text.WriteString(classTable(found).text(paint) + "\n")
	text.WriteString(dayChart(found.ByDay, paint) + "\n")
	if scope.IsAllTenants() {
		tenants := table{columns: []column{numberColumn("RECORDS"), numberColumn("SHARE"), idColumn("TENANT")}}
		text.WriteString(topTable(tenants, found.ByTenant, found.Total, orNone, paint) + "\n")
	}
	reasons := table{columns: []column{numberColumn("RECORDS"), numberColumn("SHARE"), proseColumn("REASON")}}
	text.WriteString(topTable(reasons, found.ByReason, found.Total, func(reason string) string { return reason }, paint))
	if len(found.ByParameter) > 0 {
		text.WriteString("\n" + targetTable(found.ByParameter, paint))
	}
	return text.String()
}

// classTable has the classes that occur, and the sums both ways.
func classTable(found audit.Breakdown) *table {
	shown := &table{columns: []column{textColumn("CLASS")}}
	for _, decision := range audit.Decisions() {
		shown.columns = append(shown.columns, numberColumn(string(decision)))
	}
	shown.columns = append(shown.columns, numberColumn("TOTAL"))
	sums := make(map[audit.Decision]int64)
	for _, class := range audit.EnvelopeClasses() {
		counts, occurs := found.ByClassDecision[class]
		if !occurs {
			continue
		}
		row, total := []cell{classCell(class)}, int64(0)
		for _, decision := range audit.Decisions() {
			row = append(row, counted(counts[decision]))
			sums[decision] += counts[decision]
			total += counts[decision]
		}
		shown.add(append(row, counted(total))...)
	}
	row := []cell{plain("all")}
	for _, decision := range audit.Decisions() {
		row = append(row, counted(sums[decision]))
	}
	shown.add(append(row, counted(found.Total))...)
	return shown
}

// topTable fills a table with the most frequent, and with how many there are besides.
func topTable(shown table, counts map[string]int64, total int64, name func(string) string, paint func(colour, text string) string) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	rest := total
	for _, key := range keys[:min(len(keys), mostTop)] {
		shown.add(counted(counts[key]), plain(percent(counts[key], total)), plain(name(key)))
		rest -= counts[key]
	}
	if rest > 0 {
		shown.add(counted(rest), plain(percent(rest, total)), plain("(all others)"))
	}
	return shown.text(paint)
}

func percent(part, whole int64) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(max(whole, 1)))
}

// targetTable has the parameters with the most records.
func targetTable(counts []audit.ParameterCount, paint func(colour, text string) string) string {
	total := func(count audit.ParameterCount) (n int64) {
		for _, decision := range audit.Decisions() {
			n += count.ByDecision[decision]
		}
		return n
	}
	counts = slices.Clone(counts)
	slices.SortStableFunc(counts, func(a, b audit.ParameterCount) int { return cmp.Compare(total(b), total(a)) })
	shown := table{columns: []column{textColumn("CLASS"), idColumn("SUBSYSTEM"), idColumn("PARAMETER")}}
	for _, decision := range audit.Decisions() {
		shown.columns = append(shown.columns, numberColumn(string(decision)))
	}
	for _, count := range counts[:min(len(counts), mostRows)] {
		row := []cell{
			classCell(count.EnvelopeClass),
			plain(orNone(count.TargetSubsystem)),
			plain(orNone(count.TargetParameter)),
		}
		for _, decision := range audit.Decisions() {
			row = append(row, counted(count.ByDecision[decision]))
		}
		shown.add(row...)
	}
	return shown.text(paint) + left(len(counts), mostRows, "target")
}
