package demo

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

const (
	demoColumns    = term.DefaultColumns
	reasonColumn   = 59
	timelineFormat = "%-8s  %-6s  %-11s  %-15s  %s  %s\n"
)

// text is everything that the demo prints at its end. It fits one screen.
func (s *performance) text(colour, kept bool) string {
	paint := term.Painter(colour)
	var text strings.Builder
	fmt.Fprintf(&text, "  schema  version %d, %s applied\n", s.changes[len(s.changes)-1].Version, format.Plural(int64(len(s.changes)), "migration"))
	fmt.Fprintf(&text, "  story   %s in %.1f s, each in the transaction that changes the coordinator's own table\n\n",
		format.Plural(int64(len(s.records)), "record"), s.elapsed.Seconds())
	text.WriteString(timeline(s.records, s.start, paint))

	already := 0
	for _, result := range s.repeated {
		if result.Outcome == audit.AlreadyPersisted {
			already++
		}
	}
	fmt.Fprintf(&text, "\nRead back from the database: %d %s, %d %s, %d %s\n",
		s.decisions[audit.Applied], audit.Applied, s.decisions[audit.Rejected], audit.Rejected, s.decisions[audit.Preempted], audit.Preempted)
	text.WriteString(contextText(s.records))
	fmt.Fprintf(&text, "The same records once more:  %d already persisted, %d stored twice, %d rows in the table\n",
		already, len(s.repeated)-already, s.rows)
	fmt.Fprintf(&text, "UPDATE, DELETE, TRUNCATE:    refused by %s, even for the table's owner\n", format.Plural(s.guards, "trigger"))

	text.WriteString(s.tampering.text())

	text.WriteString("\nNext  README.md               audit a service of your own\n" +
		"      examples/coordinator    the coordinator that decided here, to copy from\n")
	if !kept {
		text.WriteString("      " + ownCommand(os.Args[0]) + " demo --keep  look at the rows with psql\n")
	}
	return text.String()
}

// contextText says what programs read in the records: the codes of the reasons, and the
// links. It is empty if no record states them.
func contextText(records []audit.Record) string {
	codes, actions, caused := map[string]int{}, map[string]bool{}, 0
	for _, rec := range records {
		if rec.ReasonCode != "" {
			codes[rec.ReasonCode]++
		}
		if rec.Links.CorrelationID != "" {
			actions[rec.Links.CorrelationID] = true
		}
		if rec.Links.CausedBy != uuid.Nil {
			caused++
		}
	}
	if len(codes) == 0 {
		return ""
	}
	byCount := slices.SortedFunc(maps.Keys(codes), func(a, b string) int { return cmp.Or(cmp.Compare(codes[b], codes[a]), cmp.Compare(a, b)) })
	for i, code := range byCount {
		byCount[i] = fmt.Sprintf("%s=%d", code, codes[code])
	}
	const column = 29
	list := wrap(strings.Join(byCount, ", "), demoColumns-column, "\n"+strings.Repeat(" ", column))
	return fmt.Sprintf("%-*s%s\n%-*s%s of %s, %d with the record that caused it\n",
		column, "Their reason codes:", list,
		column, "Their links:", format.Plural(int64(len(records)), "record"), format.Plural(int64(len(actions)), "action"), caused)
}

// ownCommand is how to start this program again. It uses the name of the program only if
// the shell finds it.
func ownCommand(started string) string {
	const name = "coordaudit"
	if strings.Contains(filepath.ToSlash(started), "/go-build") { // by go run, from a clone
		return "go run ./cmd/" + name
	}
	if found, err := exec.LookPath(name); err == nil && jsonl.SamePlace(found, started) {
		return name
	}
	return started
}

// Timeline is the records as a table, with the other events of the story between them.
func timeline(records []audit.Record, start time.Time, paint func(colour, text string) string) string {
	var text strings.Builder
	text.WriteString(paint(term.Bold, strings.TrimSuffix(fmt.Sprintf(timelineFormat, "TIME", "TENANT", "CLASS", "ENVELOPE", "DECISION ", "REASON"), "\n")) + "\n")
	events := coordinator.Scenario()
	for _, rec := range records {
		for len(events) > 0 && !start.Add(events[0].At).After(rec.DecisionTimestamp) {
			if event := events[0]; event.Expect == "" {
				line := fmt.Sprintf("%-8s  %-6s  (%s: no decision, no record)", shared.Clock(start.Add(event.At)), tenantText(event.TenantID), event.Tells)
				text.WriteString(paint(term.Dim, line) + "\n")
			}
			events = events[1:]
		}
		decision := paint(term.DecisionColour(rec.Decision), fmt.Sprintf("%-9s", rec.Decision))
		reason := wrap(rec.Reason, demoColumns-reasonColumn, "\n"+strings.Repeat(" ", reasonColumn))
		fmt.Fprintf(&text, timelineFormat, shared.Clock(rec.DecisionTimestamp), tenantText(rec.TenantID), rec.EnvelopeClass, rec.EnvelopeID, decision, reason)
	}
	return text.String()
}

func tenantText(id string) string {
	if id == "" {
		return "-"
	}
	return id
}

// wrap breaks a text between words into lines of at most that many columns. A longer word
// gets a line of its own.
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
