package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
)

// The columns of the timeline. A terminal that is too narrow for the reason next to them has it
// below, and one that is narrower still has the envelope and its decision below, too.
const (
	reasonColumn = 59
	leastReason  = 36
	rowColumns   = reasonColumn - 2
	belowIndent  = "          " // below the time
)

// timeline is the records as a table, with the other events of the story between them.
func timeline(records []audit.Record, start time.Time, on term.Screen) string {
	var text strings.Builder
	for line := range strings.Lines(row(on, "TIME", "TENANT", "CLASS", "ENVELOPE", "DECISION", "REASON", "")) {
		text.WriteString(on.Paint(term.Bold, strings.TrimSuffix(line, "\n")) + "\n")
	}
	events := coordinator.Scenario()
	for _, rec := range records {
		for len(events) > 0 && !start.Add(events[0].At).After(rec.DecisionTimestamp) {
			if event := events[0]; event.Expect == "" {
				text.WriteString(eventText(event, start, on))
			}
			events = events[1:]
		}
		text.WriteString(row(on, shared.Clock(rec.DecisionTimestamp), tenantText(rec.TenantID), string(rec.EnvelopeClass), rec.EnvelopeID,
			string(rec.Decision), rec.Reason, term.DecisionColour(rec.Decision)))
	}
	return text.String()
}

// eventText is an event that is no decision.
func eventText(event coordinator.Step, start time.Time, on term.Screen) string {
	label := fmt.Sprintf("%-8s  %-6s  ", shared.Clock(start.Add(event.At)), tenantText(event.TenantID))
	var text strings.Builder
	for line := range strings.Lines(on.Hang(label, "("+event.Tells+": no decision, no record)")) {
		text.WriteString(on.Paint(term.Dim, strings.TrimSuffix(line, "\n")) + "\n")
	}
	return text.String()
}

// row is a record or the titles. The decision has a colour, which takes no room.
func row(on term.Screen, at, tenant, class, envelope, decision, reason, colour string) string {
	first, second := fmt.Sprintf("%-8s  %-6s  %-11s", at, tenant, class), fmt.Sprintf("%-15s  ", envelope)
	painted := decision
	if colour != "" {
		painted = on.Paint(colour, decision)
	}
	switch {
	case on.Columns >= reasonColumn+leastReason:
		indent := strings.Repeat(" ", reasonColumn)
		padding := strings.Repeat(" ", reasonColumn-rowColumns+len("PREEMPTED")-len(decision))
		return first + "  " + second + painted + padding + strings.TrimPrefix(on.Hang(indent, reason), indent)
	case on.Columns >= rowColumns:
		return first + "  " + second + painted + "\n" + on.Hang(belowIndent, reason)
	default:
		return strings.TrimRight(first, " ") + "\n" + belowIndent + second + painted + "\n" + on.Hang(belowIndent, reason)
	}
}

func tenantText(id string) string {
	if id == "" {
		return "-"
	}
	return id
}
