package reading

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// SignalsText has a part for each signal, also if there is none: that is an answer.
func SignalsText(q audit.SignalQuery, found audit.Signals, trend []audit.WindowRates, on term.Screen) string {
	q = q.WithDefaults()
	var text strings.Builder
	text.WriteString(on.Shorten("signals for "+format.Folded(q.Scope.String()), 0) + "\n" + on.Wrap("", format.Window(found.Window)))
	part := func(about string, shown *term.Table, all int, noun string) {
		text.WriteString("\n" + on.Wrap("", about))
		if all == 0 {
			text.WriteString("none\n")
			return
		}
		text.WriteString(shown.Text(on) + on.Left("", all, on.Limit(term.MaxRows, all), noun))
	}
	part("Rejection rates, of classes with at least "+format.Plural(int64(q.MinRecords), "record"),
		rateTable(found.RejectionRates), len(found.RejectionRates), "class")
	part(fmt.Sprintf("Oscillations, of at least %s of PREEMPTED and APPLIED", format.Plural(int64(q.MinCycles), "cycle")),
		oscillationTable(on, found.Oscillations), len(found.Oscillations), "envelope")
	part(fmt.Sprintf("Friction, of at least %s: which class lost to which", format.Plural(int64(q.MinConflicts), "conflict")),
		frictionTable(on, found.Friction), len(found.Friction), "pair")
	text.WriteString(on.Wrap("", format.Plural(found.SelfConflicts.Conflicts, "conflict")+" of envelopes with themselves, counted apart"))
	atLeast := format.Plural(int64(q.MinRejections), "time")
	part("Repeated rejections, of envelopes rejected at least "+atLeast,
		rejectionTable(on, found.RepeatedRejections), len(found.RepeatedRejections), "envelope")
	part("Repeated rejections, over parameters, at least "+atLeast,
		parameterTable(on, found.RepeatedParameterRejections), len(found.RepeatedParameterRejections), "parameter")
	part("Preemption cycles, of 2 to 5 envelopes: each is preempted by the next one, and the last by the first",
		cycleTable(on, found.PreemptionCycles.Heaviest), len(found.PreemptionCycles.Heaviest), "cycle")
	if found.PreemptionCycles.Total > int64(len(found.PreemptionCycles.Heaviest)) {
		text.WriteString(on.Wrap("", "these are the heaviest of "+format.CycleTotal(found.PreemptionCycles)))
	}
	if len(trend) > 0 {
		text.WriteString("\n" + on.Wrap("", "Trend of the rejection rates; the last window is the one above") + trendTable(trend).Text(on))
	}
	return text.String()
}

// topCodes says whether a table has a column of the top reason codes. It has one if a row
// has a code.
type topCodes bool

func (c topCodes) columns(columns ...term.Column) []term.Column {
	if c {
		columns = append(columns, term.IDColumn("TOP REASON CODE"))
	}
	return columns
}

func (c topCodes) cells(top audit.TopReasonCode, cells ...term.Cell) []term.Cell {
	if c && top.Records > 0 {
		return append(cells, term.Plain(fmt.Sprintf("%s × %s", format.Thousands(top.Records), top.ReasonCode)))
	}
	if c {
		return append(cells, term.Cell{})
	}
	return cells
}

func rateTable(rates []audit.RejectionRate) *term.Table {
	codes := topCodes(slices.ContainsFunc(rates, func(r audit.RejectionRate) bool { return r.TopReasonCode.Records > 0 }))
	shown := &term.Table{Columns: codes.columns(
		term.TextColumn("CLASS"), term.NumberColumn("RECORDS"), term.NumberColumn("REJECTED"), term.NumberColumn("RATE"), term.TextColumn("NEWEST REJECTED"),
	)}
	for _, r := range rates {
		shown.Add(codes.cells(r.TopReasonCode, term.ClassCell(r.EnvelopeClass), term.Count(r.Total), term.Count(r.Rejected),
			term.Plain(percent(r.Rejected, r.Total)), shared.Newest(r.Evidence))...)
	}
	return shown
}

func oscillationTable(on term.Screen, oscillations []audit.Oscillation) *term.Table {
	shown := &term.Table{Columns: []term.Column{
		term.NumberColumn("CYCLES"), term.IDColumn("TENANT"), term.IDColumn("ENVELOPE"), term.TextColumn("LAST (UTC)"), term.ProseColumn("PREEMPTED BY"),
	}}
	for _, o := range oscillations[:on.Limit(term.MaxRows, len(oscillations))] {
		shown.Add(term.Count(o.Cycles), term.Plain(format.OrNone(o.TenantID)), term.Plain(o.EnvelopeID),
			term.Plain(format.Second(o.LastReapplied)), term.Plain(byCount(o.PreemptingEnvelopes)))
	}
	return shown
}

// cycleTable shows the newest preemption of each cycle.
func cycleTable(on term.Screen, cycles []audit.PreemptionCycle) *term.Table {
	shown := &term.Table{Columns: []term.Column{
		term.NumberColumn("TURNS"), term.IDColumn("TENANT"), term.TextColumn("LAST (UTC)"), term.ProseColumn("ENVELOPES, WITH THEIR PREEMPTIONS BY THE NEXT"), term.TextColumn("NEWEST"),
	}}
	for _, c := range cycles[:on.Limit(term.MaxRows, len(cycles))] {
		steps := make([]string, len(c.Steps))
		last := c.Steps[0]
		for i, step := range c.Steps {
			steps[i] = fmt.Sprintf("%s × %s", format.Thousands(step.Preemptions), step.EnvelopeID)
			if step.LastSeen.After(last.LastSeen) {
				last = step
			}
		}
		shown.Add(term.Count(c.Turns), term.Plain(format.OrNone(c.TenantID)), term.Plain(format.Second(last.LastSeen)),
			term.Plain(strings.Join(steps, ", ")), shared.Newest(last.Evidence))
	}
	return shown
}

// byCount lists the keys with their numbers, the most frequent first.
func byCount[K ~string](counts map[K]int64) string {
	keys := format.ByCount(counts)
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = fmt.Sprintf("%s × %s", format.Thousands(counts[key]), string(key))
	}
	return strings.Join(parts, ", ")
}

func frictionTable(on term.Screen, friction []audit.Friction) *term.Table {
	codes := topCodes(slices.ContainsFunc(friction, func(f audit.Friction) bool { return f.TopReasonCode.Records > 0 }))
	shown := &term.Table{Columns: codes.columns(
		term.TextColumn("CLASS"), term.TextColumn("LOST TO"), term.NumberColumn("CONFLICTS"), term.NumberColumn("REJECTED"), term.NumberColumn("PREEMPTED"), term.TextColumn("NEWEST"),
	)}
	for _, f := range friction[:on.Limit(term.MaxRows, len(friction))] {
		shown.Add(codes.cells(f.TopReasonCode, term.ClassCell(f.EnvelopeClass), term.ClassCell(f.CounterpartClass),
			term.Count(f.Conflicts), term.Count(f.Rejected), term.Count(f.Preempted), shared.Newest(f.Evidence))...)
	}
	return shown
}

func rejectionTable(on term.Screen, rejections []audit.RepeatedRejection) *term.Table {
	codes := topCodes(slices.ContainsFunc(rejections, func(r audit.RepeatedRejection) bool { return r.TopReasonCode.Records > 0 }))
	shown := &term.Table{Columns: codes.columns(term.NumberColumn("TIMES"), term.IDColumn("TENANT"), term.IDColumn("ENVELOPE"), term.TextColumn("NEWEST"))}
	for _, r := range rejections[:on.Limit(term.MaxRows, len(rejections))] {
		shown.Add(codes.cells(r.TopReasonCode, term.Count(r.Rejections), term.Plain(format.OrNone(r.TenantID)), term.Plain(r.EnvelopeID), shared.Newest(r.Evidence))...)
	}
	return shown
}

func parameterTable(on term.Screen, rejections []audit.RepeatedParameterRejection) *term.Table {
	codes := topCodes(slices.ContainsFunc(rejections, func(r audit.RepeatedParameterRejection) bool { return r.TopReasonCode.Records > 0 }))
	shown := &term.Table{Columns: codes.columns(
		term.NumberColumn("TIMES"), term.IDColumn("TENANT"), term.IDColumn("SUBSYSTEM"), term.IDColumn("PARAMETER"), term.ProseColumn("IN THE WAY"),
	)}
	for _, r := range rejections[:on.Limit(term.MaxRows, len(rejections))] {
		shown.Add(codes.cells(r.TopReasonCode, term.Count(r.Rejections), term.Plain(format.OrNone(r.TenantID)), term.Plain(format.OrNone(r.TargetSubsystem)),
			term.Plain(format.OrNone(r.TargetParameter)), term.Plain(byCount(r.CounterpartClasses)))...)
	}
	return shown
}

// trendTable has a row for each window and a column for each class. A class with too few
// records for a rate has a dash.
func trendTable(trend []audit.WindowRates) *term.Table {
	shown := &term.Table{Columns: []term.Column{term.TextColumn("FROM (UTC)")}}
	for _, class := range audit.EnvelopeClasses() {
		shown.Columns = append(shown.Columns, term.NumberColumn(string(class)))
	}
	for _, rates := range trend {
		row := []term.Cell{term.Plain(format.Second(rates.Window.Since))}
		for _, class := range audit.EnvelopeClasses() {
			one := term.Cell{Text: "-"}
			for _, r := range rates.RejectionRates {
				if r.EnvelopeClass == class {
					one = term.Cell{Text: percent(r.Rejected, r.Total), Colour: term.ClassColour(class)}
				}
			}
			row = append(row, one)
		}
		shown.Add(row...)
	}
	return shown
}
