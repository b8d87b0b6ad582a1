package console

import (
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// exportCommand writes the same records to a file.
func exportCommand(q audit.Query) string {
	words := []string{"coordaudit export --format csv --out records.csv", format.ScopeFlags(q.Scope)}
	add := func(flag, text string) {
		if text != "" {
			words = append(words, "--"+flag+" "+quoted(text))
		}
	}
	for _, id := range q.EnvelopeIDs {
		add(paramEnvelope, id)
	}
	for _, class := range q.EnvelopeClasses {
		add(paramClass, string(class))
	}
	for _, decision := range q.Decisions {
		add(paramDecision, string(decision))
	}
	for _, field := range textFilters() {
		add(field.name, *field.of(&q))
	}
	if q.CausedBy != uuid.Nil {
		add("caused-by", q.CausedBy.String())
	}
	if q.Corrects != uuid.Nil {
		add("corrects", q.Corrects.String())
	}
	if q.TraceID != (audit.TraceID{}) {
		add("trace-id", q.TraceID.String())
	}
	if !q.Window.Since.IsZero() {
		add(paramSince, format.Time(q.Window.Since))
	}
	if !q.Window.Until.IsZero() {
		add(paramUntil, format.Time(q.Window.Until))
	}
	return strings.Join(words, " ")
}

// quoted is a text as one word for a shell. A text that a terminal would act on is left for
// the reader to fill in.
func quoted(text string) string {
	if shown(text) != text || strings.ContainsAny(text, "\n\t") {
		return "TEXT"
	}
	for _, r := range text {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+", r) {
			return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
		}
	}
	return text
}
