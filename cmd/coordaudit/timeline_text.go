package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// laneWidth is what one lane takes: its letter, and room for an arrow.
const laneWidth = 4

// timelineText draws who gave way to whom: a lane for each envelope, a row for
// each record.
func timelineText(q audit.TimelineQuery, entries []audit.TimelineEntry, paint func(colour, text string) string) string {
	if len(entries) == 0 {
		return "no records\n"
	}
	l := lanesOf(q.EnvelopeID, entries)
	var text strings.Builder
	text.WriteString(l.legend(q.Scope.IsAllTenants(), paint))
	text.WriteString("\nA applied, P preempted, R rejected; an arrow points at the one that gave way; | while it acts\n\n")

	text.WriteString(paint(bold, l.title()) + "\n")
	active := l.activity(entries)
	for i, entry := range entries {
		drawn, from, to := l.draw(entry.Record, active[i])
		begin := secondText(entry.DecisionTimestamp) + columnGap
		said := shorten(l.says(entry.Record), screenColumns-utf8.RuneCountInString(begin)-len(drawn)-len(columnGap))
		text.WriteString(begin + drawn[:from] + paint(decisionColour(entry.Decision), drawn[from:to]) + drawn[to:] + columnGap + strings.TrimRight(said, " ") + "\n")
	}
	return text.String()
}

// legend names the lanes.
func (l *lanes) legend(tenants bool, paint func(colour, text string) string) string {
	named := table{columns: []column{numberColumn("LANE")}}
	if tenants {
		named.columns = append(named.columns, idColumn("TENANT"))
	}
	named.columns = append(named.columns, numberColumn("RECORDS"), idColumn("ENVELOPE"))
	for i, one := range l.shown {
		row := []cell{plain(strconv.Itoa(i + 1))}
		if tenants {
			row = append(row, plain(orNone(one.key.tenant)))
		}
		named.add(append(row, counted(int64(one.records)), plain(one.key.envelope))...)
	}
	text := named.text(paint)
	if l.others > 0 {
		text += fmt.Sprintf("%4d%s%s\n", l.count(), columnGap, plural(int64(l.others), "other envelope"))
	}
	return text
}

// title has a lane's number over each lane.
func (l *lanes) title() string {
	var title strings.Builder
	fmt.Fprintf(&title, "%-*s", len(time.DateTime), "TIME (UTC)")
	for i := range l.count() {
		fmt.Fprintf(&title, "%s%-*d", columnGap, laneWidth-len(columnGap), i+1)
	}
	return strings.TrimRight(title.String(), " ")
}

// draw is a record's row over all lanes, and the part of it that is the decision.
func (l *lanes) draw(rec audit.Record, active []bool) (drawn string, from, to int) {
	row := bytes.Repeat([]byte(" "), laneWidth*(len(active)-1)+1)
	for i, acts := range active {
		row[i*laneWidth] = '.'
		if acts {
			row[i*laneWidth] = '|'
		}
	}
	own := l.number[laneKey{rec.TenantID, rec.EnvelopeID}] * laneWidth
	from, to = own, own
	if key, named := counterpartOf(rec); named {
		other := l.number[key] * laneWidth
		from, to = min(own, other), max(own, other)
		for i := from; i < to; i++ {
			row[i] = '-'
		}
		row[other] = '+'
		if own < other {
			row[own+1] = '<'
		} else if own > other {
			row[own-1] = '>'
		}
	}
	row[own] = rec.Decision[0]
	return string(row), from, to + 1
}

// says is a record in words. Whose it is its lane says, unless that is shared.
func (l *lanes) says(rec audit.Record) string {
	said := ""
	if l.number[laneKey{rec.TenantID, rec.EnvelopeID}] >= len(l.shown) {
		said = rec.EnvelopeID + " "
	}
	switch {
	case rec.Decision == audit.Applied:
		said += "applied"
	case rec.Decision == audit.Preempted && rec.PreemptingEnvelopeID == rec.EnvelopeID:
		said += "preempted by itself"
	case rec.Decision == audit.Preempted:
		said += "preempted by " + rec.PreemptingEnvelopeID
	case rec.ConflictingEnvelopeID == rec.EnvelopeID:
		said += "rejected, stood in its own way"
	case rec.ConflictingEnvelopeID != "":
		said += "rejected, " + rec.ConflictingEnvelopeID + " stood in the way"
	default:
		said += "rejected: " + rec.Reason
	}
	return folded(said)
}
