package events

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// CSVHeader is the first line of a file of [CSV] lines: the columns of the table by name.
func CSVHeader() []byte {
	return []byte(strings.Join([]string{
		"audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "conflicting_envelope_id",
		"preempting_envelope_id", "active_envelopes_count", "tenant_id", "target_subsystem", "target_parameter", "counterpart_class",
		"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id", "trace_id", "span_id", "details",
		"source_id", "source_seq", "seq", "created_at",
	}, ",") + lineEnd)
}

const lineEnd = "\r\n" // as RFC 4180 has it

// CSV writes a record as a line of RFC 4180. What is not stated is an empty field. Every text
// is quoted, and one that a spreadsheet could take for a formula begins with an apostrophe.
// So does one that begins with an apostrophe: without the first one of each, the texts are as
// they were.
func CSV(rec *audit.Record) []byte {
	var line []byte
	text := func(value string) {
		line = append(line, ',')
		if value == "" {
			return
		}
		line = append(line, '"')
		if isFormula(value) {
			line = append(line, '\'')
		}
		line = append(line, strings.ReplaceAll(value, `"`, `""`)...)
		line = append(line, '"')
	}
	number := func(n int64) { line = strconv.AppendInt(append(line, ','), n, 10) }

	line = append(line, rec.AuditID.String()...)
	text(rec.EnvelopeID)
	text(string(rec.EnvelopeClass))
	text(string(rec.Decision))
	text(rec.Reason)
	text(audit.FormatTime(rec.DecisionTimestamp))
	text(rec.ConflictingEnvelopeID)
	text(rec.PreemptingEnvelopeID)
	number(int64(rec.ActiveEnvelopesCount))
	text(rec.TenantID)
	text(rec.TargetSubsystem)
	text(rec.TargetParameter)
	text(string(rec.CounterpartClass))
	text(rec.ReasonCode)
	text(rec.PolicyVersion)
	text(rec.Actor)
	text(optionalID(rec.Links.CausedBy))
	text(optionalID(rec.Links.Corrects))
	text(rec.Links.CorrelationID)
	text(rec.Origin.TraceID.String())
	text(rec.Origin.SpanID.String())
	text(string(rec.Details))
	text(optionalID(rec.Origin.SourceID))
	if rec.Origin.SourceSeq == 0 {
		line = append(line, ',')
	} else {
		number(rec.Origin.SourceSeq)
	}
	number(rec.Seq)
	text(audit.FormatTime(rec.CreatedAt))
	return append(line, lineEnd...)
}

// isFormula reports whether a spreadsheet may evaluate a text, by its first character: those
// that OWASP names, and their full-width forms. A program that trims the cells it reads looks
// behind blanks and invisible characters.
func isFormula(text string) bool {
	if strings.IndexAny(text, "\t\r\n'") == 0 {
		return true
	}
	trimmed := strings.TrimLeftFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	})
	return strings.IndexAny(trimmed, "=+-@＝＋－＠") == 0
}

func optionalID(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
