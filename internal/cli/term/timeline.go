package term

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// laneWidth is the room for a letter and an arrow.
const laneWidth = 4

// Timeline draws which envelope was preempted or rejected, and by which one. It has a lane
// for each envelope and a row for each record.
func Timeline(q audit.TimelineQuery, entries []audit.TimelineEntry, on Screen) string {
	if len(entries) == 0 {
		return "no records\n"
	}
	l := lanesOf(q.EnvelopeID, entries, lanesOn(on))
	var text strings.Builder
	text.WriteString(l.legend(q.Scope.IsAllTenants(), on))
	text.WriteString("\n" + on.Wrap("", "A applied, P preempted, R rejected; an arrow points at the envelope that lost; | while it is active") + "\n")

	text.WriteString(on.Paint(Bold, l.title()) + "\n")
	active := l.activity(entries)
	for i, entry := range entries {
		drawn, from, to := l.draw(entry.Record, active[i])
		begin := fmt.Sprintf("%-*s", len(time.DateTime), format.Second(entry.DecisionTimestamp)) + ColumnGap
		said := on.Shorten(l.says(entry.Record), len(begin)+len(drawn)+len(ColumnGap))
		text.WriteString(begin + drawn[:from] + on.Paint(DecisionColour(entry.Decision), drawn[from:to]) + drawn[to:] + ColumnGap + strings.TrimRight(said, " ") + "\n")
	}
	return text.String()
}

// lanesOn is how many lanes a screen has room for, next to the time and a few words.
func lanesOn(on Screen) int {
	const rest = len(time.DateTime) + 2*len(ColumnGap) + minID
	if on.Columns == 0 {
		return maxLanes
	}
	return min(maxLanes, (on.Columns-rest-1)/laneWidth+1)
}

// legend names the lanes.
func (l *lanes) legend(tenants bool, on Screen) string {
	named := Table{Columns: []Column{NumberColumn("LANE")}}
	if tenants {
		named.Columns = append(named.Columns, IDColumn("TENANT"))
	}
	named.Columns = append(named.Columns, NumberColumn("RECORDS"), IDColumn("ENVELOPE"))
	for i, one := range l.shown {
		row := []Cell{Plain(strconv.Itoa(i + 1))}
		if tenants {
			row = append(row, Plain(format.OrNone(one.key.tenant)))
		}
		named.Add(append(row, Count(int64(one.records)), Plain(one.key.envelope))...)
	}
	text := named.Text(on)
	if l.others > 0 {
		text += fmt.Sprintf("%4d%s%s\n", l.count(), ColumnGap, format.Plural(int64(l.others), "other envelope"))
	}
	return text
}

// title has a lane's number over each lane.
func (l *lanes) title() string {
	var title strings.Builder
	fmt.Fprintf(&title, "%-*s", len(time.DateTime), "TIME (UTC)")
	for i := range l.count() {
		fmt.Fprintf(&title, "%s%-*d", ColumnGap, laneWidth-len(ColumnGap), i+1)
	}
	return strings.TrimRight(title.String(), " ")
}

// draw returns a record's row over all lanes, and which part of it is the decision.
func (l *lanes) draw(rec audit.Record, active []bool) (drawn string, from, to int) {
	row := bytes.Repeat([]byte(" "), laneWidth*(len(active)-1)+1)
	for i, isActive := range active {
		row[i*laneWidth] = '.'
		if isActive {
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
	row[own] = decisionLetter(rec.Decision)
	return string(row), from, to + 1
}

// decisionLetter is ? for an unknown decision, because an adopted row may hold any text.
func decisionLetter(decision audit.Decision) byte {
	if !slices.Contains(audit.Decisions(), decision) {
		return '?'
	}
	return decision[0]
}

// says puts a record into words, with the code of its reason. It names the envelope only if
// that shares a lane.
func (l *lanes) says(rec audit.Record) string {
	said, reason := "", ""
	if l.number[laneKey{rec.TenantID, rec.EnvelopeID}] >= len(l.shown) {
		said = rec.EnvelopeID + " "
	}
	switch {
	case !slices.Contains(audit.Decisions(), rec.Decision):
		said += strings.TrimSpace("undecided " + string(rec.Decision))
		reason = ": " + rec.Reason
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
		said += "rejected"
		reason = ": " + rec.Reason
	}
	if rec.ReasonCode != "" {
		said += " (" + rec.ReasonCode + ")"
	}
	return format.Folded(said + reason)
}
