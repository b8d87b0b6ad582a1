package format

import (
	"slices"
	"strconv"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Fields are the fields of a record by the names of their columns, without the optional ones
// that it does not state. Records of earlier versions have none of those.
func Fields(rec audit.Record) []Line {
	fields := []Line{
		{"audit_id", rec.AuditID.String()},
		{"seq", strconv.FormatInt(rec.Seq, 10)},
		{"tenant_id", OrNone(rec.TenantID)},
		{"envelope_id", rec.EnvelopeID},
		{"envelope_class", string(rec.EnvelopeClass)},
		{"decision", string(rec.Decision)},
		{"reason", rec.Reason},
		{"conflicting_envelope_id", OrNone(rec.ConflictingEnvelopeID)},
		{"preempting_envelope_id", OrNone(rec.PreemptingEnvelopeID)},
	}
	fields = append(fields, stated(
		Line{"counterpart_class", string(rec.CounterpartClass)},
		Line{"target_subsystem", rec.TargetSubsystem},
		Line{"target_parameter", rec.TargetParameter})...)
	fields = append(fields,
		Line{"active_envelopes_count", strconv.Itoa(int(rec.ActiveEnvelopesCount))},
		Line{"decision_timestamp", Time(rec.DecisionTimestamp)},
		Line{"created_at", Time(rec.CreatedAt)})
	return append(fields, stated(
		Line{"reason_code", rec.ReasonCode},
		Line{"policy_version", rec.PolicyVersion},
		Line{"actor", rec.Actor},
		Line{"caused_by", idText(rec.Links.CausedBy)},
		Line{"corrects", idText(rec.Links.Corrects)},
		Line{"correlation_id", rec.Links.CorrelationID},
		Line{"trace_id", rec.Origin.TraceID.String()},
		Line{"span_id", rec.Origin.SpanID.String()},
		Line{"details", string(rec.Details)},
		Line{"source_id", idText(rec.Origin.SourceID)},
		Line{"source_seq", ordinalText(rec.Origin.SourceSeq)})...)
}

// stated leaves out the fields that are empty.
func stated(fields ...Line) []Line {
	return slices.DeleteFunc(fields, func(field Line) bool { return field.Text == "" })
}

// auditID is a UUID, whose package this one does not need otherwise.
type auditID interface {
	comparable
	String() string
}

// idText is empty if there is no id.
func idText[T auditID](id T) string {
	var none T
	if id == none {
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
