package audit

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// recordJSON is the form that is written. [ParseRecord] reads more strictly than
// encoding/json can.
type recordJSON struct {
	Format                int           `json:"format,omitempty"`
	AuditID               uuid.UUID     `json:"audit_id"`
	EnvelopeID            string        `json:"envelope_id"`
	EnvelopeClass         EnvelopeClass `json:"envelope_class"`
	Decision              Decision      `json:"decision"`
	Reason                string        `json:"reason"`
	DecisionTimestamp     string        `json:"decision_timestamp"`
	ConflictingEnvelopeID *string       `json:"conflicting_envelope_id"`
	PreemptingEnvelopeID  *string       `json:"preempting_envelope_id"`
	ActiveEnvelopesCount  int32         `json:"active_envelopes_count"`
	TenantID              *string       `json:"tenant_id"`

	// The predecessor's callers do not know these keys. Without them a record looks as it
	// always did.
	TargetSubsystem  string        `json:"target_subsystem,omitempty"`
	TargetParameter  string        `json:"target_parameter,omitempty"`
	CounterpartClass EnvelopeClass `json:"counterpart_class,omitempty"`

	*contextJSON // nil if none of them is stated
}

// contextJSON has the keys of format 2.
type contextJSON struct {
	ReasonCode    string          `json:"reason_code,omitempty"`
	PolicyVersion string          `json:"policy_version,omitempty"`
	Actor         string          `json:"actor,omitempty"`
	CausedBy      uuid.UUID       `json:"caused_by,omitzero"`
	Corrects      uuid.UUID       `json:"corrects,omitzero"`
	CorrelationID string          `json:"correlation_id,omitempty"`
	TraceID       TraceID         `json:"trace_id,omitzero"`
	SpanID        SpanID          `json:"span_id,omitzero"`
	Details       json.RawMessage `json:"details,omitempty"`
	SourceID      uuid.UUID       `json:"source_id,omitzero"`
	SourceSeq     int64           `json:"source_seq,omitzero"`
}

// newestFormat is the format of a line with one of the keys of [contextJSON]. A reader
// that does not know it would lose what they say. A line without them needs no number and
// can be read by every version.
const newestFormat = 2

// MarshalJSON writes the record's content under the argument names of
// persist_audit_record. Class and decision are in upper case, the time is in UTC with
// microseconds, and an empty optional id is null. All further fields, which the
// predecessor's callers do not know, are omitted if they are not stated. Seq and
// CreatedAt belong to one database's trail and are omitted. [ParseRecord] reads the
// result into an equal record.
//
// Details are an object, whose keys and numbers are in normal form. encoding/json decides
// about spaces and escapes. If ReasonCode or a later field is stated, the object begins
// with "format":2, so that a reader that does not know these fields can refuse it.
func (r Record) MarshalJSON() ([]byte, error) {
	r = r.Normalized()
	line := recordJSON{
		AuditID:               r.AuditID,
		EnvelopeID:            r.EnvelopeID,
		EnvelopeClass:         r.EnvelopeClass,
		Decision:              r.Decision,
		Reason:                r.Reason,
		DecisionTimestamp:     FormatTime(r.DecisionTimestamp),
		ConflictingEnvelopeID: nullable(r.ConflictingEnvelopeID),
		PreemptingEnvelopeID:  nullable(r.PreemptingEnvelopeID),
		ActiveEnvelopesCount:  r.ActiveEnvelopesCount,
		TenantID:              nullable(r.TenantID),
		TargetSubsystem:       r.TargetSubsystem,
		TargetParameter:       r.TargetParameter,
		CounterpartClass:      r.CounterpartClass,
	}
	if r.hasContext() {
		line.Format = newestFormat
		line.contextJSON = &contextJSON{
			ReasonCode:    r.ReasonCode,
			PolicyVersion: r.PolicyVersion,
			Actor:         r.Actor,
			CausedBy:      r.Links.CausedBy,
			Corrects:      r.Links.Corrects,
			CorrelationID: r.Links.CorrelationID,
			TraceID:       r.Origin.TraceID,
			SpanID:        r.Origin.SpanID,
			Details:       json.RawMessage(r.Details),
			SourceID:      r.Origin.SourceID,
			SourceSeq:     r.Origin.SourceSeq,
		}
	}
	return json.Marshal(line)
}

func (r Record) hasContext() bool {
	return r.ReasonCode+r.PolicyVersion+r.Actor != "" || r.Links != (Links{}) || r.Details != "" || r.Origin != (Origin{})
}

// UnmarshalJSON reads what [ParseRecord] reads. It refuses a call that asks for a replay
// ("emit_traces": false): a Record cannot carry that request and would be stored.
func (r *Record) UnmarshalJSON(data []byte) error {
	parsed, replay, err := ParseRecord(data)
	if err != nil {
		return err
	}
	if replay {
		return invalidField(fieldEmitTraces, "is false, which asks for a replay: read it with ParseRecord")
	}
	*r = parsed
	return nil
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// parseTime reads RFC 3339. It refuses a time without an offset, since the instant would
// be a guess.
func parseTime(text string) (at time.Time, reason string) {
	at, err := time.Parse(time.RFC3339, text)
	if err == nil {
		return at, ""
	}
	if _, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return time.Time{}, "is a naive time: add its offset, Z or ±hh:mm"
	}
	if isBeyondYears(text) {
		return time.Time{}, yearReason
	}
	return time.Time{}, "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00.000000Z"
}

// isBeyondYears reports whether [FormatTime] writes the text for a time that no new
// record may have: an infinite one, or one whose year has a sign or five digits.
func isBeyondYears(text string) bool {
	if text == FormatTime(InfinitePast()) || text == FormatTime(InfiniteFuture()) {
		return true
	}
	unsigned, before := strings.CutPrefix(text, "-")
	year, rest, _ := strings.Cut(unsigned, "-")
	if len(year) > 6 || len(year) < 4 || len(year) == 4 && !before || strings.Trim(year, "0123456789") != "" {
		return false
	}
	_, err := time.Parse(time.RFC3339, "2000-"+rest) // a leap year has every day
	return err == nil
}

// knownKey returns a key of ours and its bit, or no bit if the key is unknown.
func knownKey(name []byte) (key string, bit uint32) {
	switch string(name) {
	case fieldAuditID:
		return fieldAuditID, 1 << 0
	case fieldEnvelopeID:
		return fieldEnvelopeID, 1 << 1
	case fieldEnvelopeClass:
		return fieldEnvelopeClass, 1 << 2
	case fieldDecision:
		return fieldDecision, 1 << 3
	case fieldReason:
		return fieldReason, 1 << 4
	case fieldDecisionTimestamp:
		return fieldDecisionTimestamp, 1 << 5
	case fieldConflictingEnvelopeID:
		return fieldConflictingEnvelopeID, 1 << 6
	case fieldPreemptingEnvelopeID:
		return fieldPreemptingEnvelopeID, 1 << 7
	case fieldActiveEnvelopesCount:
		return fieldActiveEnvelopesCount, 1 << 8
	case fieldTenantID:
		return fieldTenantID, 1 << 9
	case fieldTargetSubsystem:
		return fieldTargetSubsystem, 1 << 10
	case fieldTargetParameter:
		return fieldTargetParameter, 1 << 11
	case fieldCounterpartClass:
		return fieldCounterpartClass, 1 << 12
	case fieldEmitTraces:
		return fieldEmitTraces, 1 << 13
	default:
		return contextKey(name)
	}
}

// contextKey does the same for the keys of format 2.
func contextKey(name []byte) (key string, bit uint32) {
	switch string(name) {
	case fieldReasonCode:
		return fieldReasonCode, 1 << 14
	case fieldPolicyVersion:
		return fieldPolicyVersion, 1 << 15
	case fieldActor:
		return fieldActor, 1 << 16
	case fieldCausedBy:
		return fieldCausedBy, 1 << 17
	case fieldCorrects:
		return fieldCorrects, 1 << 18
	case fieldCorrelationID:
		return fieldCorrelationID, 1 << 19
	case fieldTraceID:
		return fieldTraceID, 1 << 20
	case fieldSpanID:
		return fieldSpanID, 1 << 21
	case fieldDetails:
		return fieldDetails, 1 << 22
	case fieldSourceID:
		return fieldSourceID, 1 << 23
	case fieldSourceSeq:
		return fieldSourceSeq, 1 << 24
	case fieldFormat:
		return fieldFormat, 1 << 25
	default:
		return "", 0
	}
}

// nameOf quotes and cuts an unknown key, which may hold anything.
func nameOf(key string) string { return quoteClipped(key, 64) }

func quoteClipped(text string, maxRunes int) string {
	if runes := []rune(text); len(runes) > maxRunes {
		text = string(runes[:maxRunes]) + "…"
	}
	return strconv.Quote(text)
}
