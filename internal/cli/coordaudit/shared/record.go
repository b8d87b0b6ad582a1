package shared

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// RecordText shows a record, a field after the other. It cuts nothing.
func RecordText(rec audit.Record, on term.Screen) string {
	var text strings.Builder
	for _, field := range format.Fields(rec) {
		text.WriteString(on.Hang(fmt.Sprintf("%-23s  ", field.Label), format.Printable(field.Text)))
	}
	return text.String()
}

// ByClass lists the classes that occur, in their order of priority.
func ByClass(counts map[audit.EnvelopeClass]int64) string {
	var parts []string
	for _, class := range audit.EnvelopeClasses() {
		if n := counts[class]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %s", class, format.Thousands(n)))
		}
	}
	return strings.Join(parts, ", ")
}

// ParseAuditID reads the audit id of the command line.
func ParseAuditID(text string) (uuid.UUID, error) {
	id, err := audit.ParseAuditID(text)
	if err != nil {
		return uuid.Nil, cli.Usage("reading the audit id", errors.New(format.Faults(format.FaultsOf(err))), "give it as 01890a5d-ac96-774b-bcce-b302099a8057")
	}
	return id, nil
}
