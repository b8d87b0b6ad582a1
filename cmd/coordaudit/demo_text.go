package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
)

const (
	demoColumns    = screenColumns
	reasonColumn   = 59
	timelineFormat = "%-8s  %-6s  %-11s  %-15s  %s  %s\n"
)

// text is all that the demo says once it is done. It fits one screen.
func (s *performance) text(colour, kept bool) string {
	paint := painter(colour)
	var text strings.Builder
	fmt.Fprintf(&text, "  schema  version %d, %s applied\n", s.changes[len(s.changes)-1].Version, plural(int64(len(s.changes)), "migration"))
	fmt.Fprintf(&text, "  story   %s in %.1f s, each in the transaction that changes the coordinator's own table\n\n",
		plural(int64(len(s.records)), "record"), s.elapsed.Seconds())
	text.WriteString(timeline(s.records, s.start, paint))

	already := 0
	for _, receipt := range s.repeated {
		if receipt.Outcome == audit.AlreadyPersisted {
			already++
		}
	}
	fmt.Fprintf(&text, "\nRead back from the database: %d %s, %d %s, %d %s\n",
		s.decisions[audit.Applied], audit.Applied, s.decisions[audit.Rejected], audit.Rejected, s.decisions[audit.Preempted], audit.Preempted)
	fmt.Fprintf(&text, "The same records once more:  %d already persisted, %d stored twice, %d rows in the table\n",
		already, len(s.repeated)-already, s.rows)
	fmt.Fprintf(&text, "UPDATE, DELETE, TRUNCATE:    refused by %s, also to the table's owner\n", plural(s.guards, "trigger"))

	text.WriteString("\nNext  README.md               audit a service of your own\n" +
		"      examples/coordinator    the coordinator that decided here, to copy from\n")
	if !kept {
		text.WriteString("      coordaudit demo --keep  look at the rows with psql\n")
	}
	return text.String()
}

// timeline is the records as a table, with the story's other events between them.
func timeline(records []audit.Record, start time.Time, paint func(colour, text string) string) string {
	var text strings.Builder
	text.WriteString(paint(bold, strings.TrimSuffix(fmt.Sprintf(timelineFormat, "TIME", "TENANT", "CLASS", "ENVELOPE", "DECISION ", "REASON"), "\n")) + "\n")
	events := coordinator.Scenario()
	for _, rec := range records {
		for len(events) > 0 && !start.Add(events[0].At).After(rec.DecisionTimestamp) {
			if event := events[0]; event.Expect == "" {
				line := fmt.Sprintf("%-8s  %-6s  (%s: no decision, no record)", clock(start.Add(event.At)), tenantText(event.TenantID), event.Tells)
				text.WriteString(paint(dim, line) + "\n")
			}
			events = events[1:]
		}
		decision := paint(decisionColour(rec.Decision), fmt.Sprintf("%-9s", rec.Decision))
		reason := wrap(rec.Reason, demoColumns-reasonColumn, "\n"+strings.Repeat(" ", reasonColumn))
		fmt.Fprintf(&text, timelineFormat, clock(rec.DecisionTimestamp), tenantText(rec.TenantID), rec.EnvelopeClass, rec.EnvelopeID, decision, reason)
	}
	return text.String()
}

func clock(at time.Time) string { return at.UTC().Format(time.TimeOnly) }

func tenantText(id string) string {
	if id == "" {
		return "-"
	}
	return id
}

// wrap breaks a text between words, into lines of at most so many characters if
// its words allow it.
func wrap(text string, columns int, lineBreak string) string {
	var wrapped strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > columns:
			wrapped.WriteString(lineBreak)
			column = 0
		default:
			wrapped.WriteByte(' ')
			column++
		}
		wrapped.WriteString(word)
		column += len(word)
	}
	return wrapped.String()
}
