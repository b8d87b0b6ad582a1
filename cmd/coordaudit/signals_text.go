package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// signalsText has a part for each signal, also for those that there are not: none
// is an answer.
func signalsText(q audit.SignalQuery, found audit.Signals, trend []audit.WindowRates, paint func(colour, text string) string) string {
	q = q.WithDefaults()
	var text strings.Builder
	text.WriteString(shorten("signals for "+folded(q.Scope.String()), screenColumns) + "\n" + windowText(found.Window) + "\n")
	part := func(about string, shown *table, all int, noun string) {
		text.WriteString("\n" + about + "\n")
		if all == 0 {
			text.WriteString("none\n")
			return
		}
		text.WriteString(shown.text(paint) + left(all, mostRows, noun))
	}
	part("Rejection rates, of classes with at least "+plural(int64(q.MinRecords), "record"),
		rateTable(found.RejectionRates), len(found.RejectionRates), "class")
	part(fmt.Sprintf("Oscillations, of at least %s of PREEMPTED and APPLIED", plural(int64(q.MinCycles), "cycle")),
		oscillationTable(found.Oscillations), len(found.Oscillations), "envelope")
	part(fmt.Sprintf("Friction, of at least %s: which class gave way to which", plural(int64(q.MinConflicts), "conflict")),
		frictionTable(found.Friction), len(found.Friction), "pair")
	fmt.Fprintf(&text, "%s of envelopes with themselves, counted apart\n", plural(found.SelfConflicts.Conflicts, "conflict"))
	atLeast := plural(int64(q.MinRejections), "time")
	part("Repeated rejections, of envelopes rejected at least "+atLeast,
		rejectionTable(found.RepeatedRejections), len(found.RepeatedRejections), "envelope")
	part("Repeated rejections, over parameters, at least "+atLeast,
		parameterTable(found.RepeatedParameterRejections), len(found.RepeatedParameterRejections), "parameter")
	if len(trend) > 0 {
		text.WriteString("\nTrend of the rejection rates; the last window is the one above\n" + trendTable(trend).text(paint))
	}
	return text.String()
}

// newest is where one begins to look.
func newest(e audit.Evidence) cell {
	if len(e.AuditIDs) == 0 {
		return cell{}
	}
	return plain(e.AuditIDs[0].String())
}

func rateTable(rates []audit.RejectionRate) *table {
	shown := &table{columns: []column{
		textColumn("CLASS"), numberColumn("RECORDS"), numberColumn("REJECTED"), numberColumn("RATE"), textColumn("NEWEST REJECTED"),
	}}
	for _, r := range rates {
		shown.add(classCell(r.EnvelopeClass), counted(r.Total), counted(r.Rejected), plain(percent(r.Rejected, r.Total)), newest(r.Evidence))
	}
	return shown
}

func oscillationTable(oscillations []audit.Oscillation) *table {
	shown := &table{columns: []column{
		numberColumn("CYCLES"), idColumn("TENANT"), idColumn("ENVELOPE"), textColumn("LAST (UTC)"), proseColumn("PREEMPTED BY"),
	}}
	for _, o := range oscillations[:min(len(oscillations), mostRows)] {
		shown.add(counted(o.Cycles), plain(orNone(o.TenantID)), plain(o.EnvelopeID),
			plain(secondText(o.LastReapplied)), plain(byCount(o.PreemptingEnvelopes)))
	}
	return shown
}

// byCount names the keys, the most frequent first, each with its number.
func byCount[K ~string](counts map[K]int64) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = fmt.Sprintf("%s × %s", grouped(counts[key]), string(key))
	}
	return strings.Join(parts, ", ")
}

func frictionTable(friction []audit.Friction) *table {
	shown := &table{columns: []column{
		textColumn("CLASS"), textColumn("GAVE WAY TO"), numberColumn("CONFLICTS"), numberColumn("REJECTED"), numberColumn("PREEMPTED"), textColumn("NEWEST"),
	}}
	for _, f := range friction[:min(len(friction), mostRows)] {
		shown.add(classCell(f.EnvelopeClass), classCell(f.CounterpartClass),
			counted(f.Conflicts), counted(f.Rejected), counted(f.Preempted), newest(f.Evidence))
	}
	return shown
}

func rejectionTable(rejections []audit.RepeatedRejection) *table {
	shown := &table{columns: []column{numberColumn("TIMES"), idColumn("TENANT"), idColumn("ENVELOPE"), textColumn("NEWEST")}}
	for _, r := range rejections[:min(len(rejections), mostRows)] {
		shown.add(counted(r.Rejections), plain(orNone(r.TenantID)), plain(r.EnvelopeID), newest(r.Evidence))
	}
	return shown
}

func parameterTable(rejections []audit.RepeatedParameterRejection) *table {
	shown := &table{columns: []column{
		numberColumn("TIMES"), idColumn("TENANT"), idColumn("SUBSYSTEM"), idColumn("PARAMETER"), proseColumn("IN THE WAY"),
	}}
	for _, r := range rejections[:min(len(rejections), mostRows)] {
		shown.add(counted(r.Rejections), plain(orNone(r.TenantID)), plain(orNone(r.TargetSubsystem)),
			plain(orNone(r.TargetParameter)), plain(byCount(r.CounterpartClasses)))
	}
	return shown
}

// trendTable has a row for each window and a column for each class; a class with
// too few records for a rate has a dash.
func trendTable(trend []audit.WindowRates) *table {
	shown := &table{columns: []column{textColumn("FROM (UTC)")}}
	for _, class := range audit.EnvelopeClasses() {
		shown.columns = append(shown.columns, numberColumn(string(class)))
	}
	for _, rates := range trend {
		row := []cell{plain(secondText(rates.Window.Since))}
		for _, class := range audit.EnvelopeClasses() {
			one := cell{text: "-"}
			for _, r := range rates.RejectionRates {
				if r.EnvelopeClass == class {
					one = cell{percent(r.Rejected, r.Total), classColour(class)}
				}
			}
			row = append(row, one)
		}
		shown.add(row...)
	}
	return shown
}
