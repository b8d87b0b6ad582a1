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

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// text is everything that the demo prints at its end. It fits one screen of 100 columns, and the
// width of a narrower one.
func (s *performance) text(on term.Screen, kept bool) string {
	var text strings.Builder
	text.WriteString(on.Hang("  schema  ", fmt.Sprintf("version %d, %s applied", s.changes[len(s.changes)-1].Version, format.Plural(int64(len(s.changes)), "migration"))))
	text.WriteString(on.Hang("  story   ", fmt.Sprintf("%s in %.1f s, each in the transaction that changes the coordinator's own table",
		format.Plural(int64(len(s.records)), "record"), s.elapsed.Seconds())) + "\n")
	text.WriteString(timeline(s.records, s.start, on) + "\n")

	already := 0
	for _, result := range s.repeated {
		if result.Outcome == audit.AlreadyPersisted {
			already++
		}
	}
	text.WriteString(fact(on, "Read back from the database:", fmt.Sprintf("%d %s, %d %s, %d %s",
		s.decisions[audit.Applied], audit.Applied, s.decisions[audit.Rejected], audit.Rejected, s.decisions[audit.Preempted], audit.Preempted)))
	text.WriteString(contextText(s.records, on))
	text.WriteString(fact(on, "The same records once more:", fmt.Sprintf("%d already persisted, %d stored twice, %d rows in the table", already, len(s.repeated)-already, s.rows)))
	text.WriteString(fact(on, "UPDATE, DELETE, TRUNCATE:", fmt.Sprintf("refused by %s, even for the table's owner", format.Plural(s.guards, "trigger"))))
	text.WriteString(s.tampering.text(on))

	text.WriteString("\n" + next(on, "Next  ", "README.md", "audit a service of your own") +
		next(on, "      ", "examples/coordinator", "the coordinator that decided here, to copy from"))
	if !kept {
		text.WriteString(next(on, "      ", ownCommand(os.Args[0])+" demo --keep", "look at the rows with psql"))
	}
	return text.String()
}

// factColumn is where the facts begin, behind what they are about. On a terminal that is narrower
// than factColumns they are below it.
const (
	factColumn  = 29
	factColumns = 80
	factIndent  = "    "
)

func fact(on term.Screen, about, is string) string {
	if on.Columns < factColumns {
		return on.Hang("", about) + on.Hang(factIndent, is)
	}
	return on.Hang(fmt.Sprintf("%-*s", factColumn, about), is)
}

// next names a place or a command, which is never broken, and what it is for.
func next(on term.Screen, lead, where, what string) string {
	const column = 22
	line := fmt.Sprintf("%s%-*s  %s", lead, column, where, what)
	if term.Cells(line) <= on.Columns {
		return line + "\n"
	}
	return lead + where + "\n" + on.Hang(strings.Repeat(" ", term.Cells(lead)+2), what)
}

// contextText says what programs read in the records: the codes of the reasons, and the
// links. It is empty if no record states them.
func contextText(records []audit.Record, on term.Screen) string {
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
	return fact(on, "Their reason codes:", strings.Join(byCount, ", ")) +
		fact(on, "Their links:", fmt.Sprintf("%s of %s, %d with the record that caused it", format.Plural(int64(len(records)), "record"), format.Plural(int64(len(actions)), "action"), caused))
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
