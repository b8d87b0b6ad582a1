package shared

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type shownField struct{ name, value string }

// shownFields are the fields of a record, without the optional ones that it does not state.
// Records of earlier versions have none of those.
func shownFields(rec audit.Record) []shownField {
	fields := []shownField{
		{"audit_id", rec.AuditID.String()},
		{"seq", strconv.FormatInt(rec.Seq, 10)},
		{"tenant_id", format.OrNone(rec.TenantID)},
		{"envelope_id", rec.EnvelopeID},
		{"envelope_class", string(rec.EnvelopeClass)},
		{"decision", string(rec.Decision)},
		{"reason", rec.Reason},
		{"conflicting_envelope_id", format.OrNone(rec.ConflictingEnvelopeID)},
		{"preempting_envelope_id", format.OrNone(rec.PreemptingEnvelopeID)},
	}
	fields = append(fields, stated(
		shownField{"counterpart_class", string(rec.CounterpartClass)},
		shownField{"target_subsystem", rec.TargetSubsystem},
		shownField{"target_parameter", rec.TargetParameter})...)
	fields = append(fields,
		shownField{"active_envelopes_count", strconv.Itoa(int(rec.ActiveEnvelopesCount))},
		shownField{"decision_timestamp", format.Time(rec.DecisionTimestamp)},
		shownField{"created_at", format.Time(rec.CreatedAt)})
	return append(fields, stated(
		shownField{"reason_code", rec.ReasonCode},
		shownField{"policy_version", rec.PolicyVersion},
		shownField{"actor", rec.Actor},
		shownField{"caused_by", idText(rec.Links.CausedBy)},
		shownField{"corrects", idText(rec.Links.Corrects)},
		shownField{"correlation_id", rec.Links.CorrelationID},
		shownField{"trace_id", rec.Origin.TraceID.String()},
		shownField{"span_id", rec.Origin.SpanID.String()},
		shownField{"details", string(rec.Details)},
		shownField{"source_id", idText(rec.Origin.SourceID)},
		shownField{"source_seq", ordinalText(rec.Origin.SourceSeq)})...)
}

// stated leaves out the fields that are empty.
func stated(fields ...shownField) []shownField {
	return slices.DeleteFunc(fields, func(field shownField) bool { return field.value == "" })
}

// idText is empty if there is no id.
func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// ordinalText is empty if there is no ordinal. Ordinals begin at 1.
func ordinalText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// RecordText shows a record, one field a line.
func RecordText(rec audit.Record) string {
	var text strings.Builder
	for _, field := range shownFields(rec) {
		const column = "\n                         "
		fmt.Fprintf(&text, "%-23s  %s\n", field.name, strings.ReplaceAll(format.Printable(field.value), "\n", column))
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
