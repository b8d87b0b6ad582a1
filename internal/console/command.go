package console

import (
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// placeholder stands for a text in a command that a terminal would act on.
const placeholder = "TEXT"

// exportCommand writes the same records to a file. It is not whole if the reader has to put a
// text in the place of a placeholder.
func exportCommand(q audit.Query) (command string, whole bool) {
	words := []string{"coordaudit export --format csv --out records.csv"}
	whole = true
	add := func(flag, text string) {
		if text == "" {
			return
		}
		word := quoted(text)
		whole = whole && (word != placeholder || text == placeholder)
		if strings.HasPrefix(text, "-") { // it would be taken for a flag
			words = append(words, "--"+flag+"="+word)
			return
		}
		words = append(words, "--"+flag+" "+word)
	}
	if tenant := q.Scope.TenantID(); tenant != "" {
		add(paramTenant, tenant)
	} else {
		words = append(words, format.ScopeFlags(q.Scope))
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
	return strings.Join(words, " "), whole
}

// quoted is a text as one word for a shell, or the placeholder.
func quoted(text string) string {
	if shown(text) != text || strings.ContainsAny(text, "\n\t") {
		return placeholder
	}
	for _, r := range text {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/@+", r) {
			return format.ShellQuoted(text)
		}
	}
	return text
}
