package audit

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// timeLayout always shows microseconds, so equal times are equal texts.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// recordJSON is the form that is written. Reading is stricter than
// encoding/json can be; see [ParseRecord].
type recordJSON struct {
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

	// The predecessor's callers do not know these, so a record without them looks
	// as it ever did.
	TargetSubsystem  string        `json:"target_subsystem,omitempty"`
	TargetParameter  string        `json:"target_parameter,omitempty"`
	CounterpartClass EnvelopeClass `json:"counterpart_class,omitempty"`
}

// MarshalJSON writes the record's content under the argument names of
// persist_audit_record: class and decision in upper case, the time in UTC with
// microseconds, null for an optional id that is empty. The target and the
// counterpart's class, which those callers did not know, are left out where they
// are not stated. Seq and CreatedAt belong to one database's trail, so they are
// left out: [ParseRecord] reads what this writes into an equal record.
func (r Record) MarshalJSON() ([]byte, error) {
	r = r.Normalized()
	return json.Marshal(recordJSON{
		AuditID:               r.AuditID,
		EnvelopeID:            r.EnvelopeID,
		EnvelopeClass:         r.EnvelopeClass,
		Decision:              r.Decision,
		Reason:                r.Reason,
		DecisionTimestamp:     r.DecisionTimestamp.Format(timeLayout),
		ConflictingEnvelopeID: nullable(r.ConflictingEnvelopeID),
		PreemptingEnvelopeID:  nullable(r.PreemptingEnvelopeID),
		ActiveEnvelopesCount:  r.ActiveEnvelopesCount,
		TenantID:              nullable(r.TenantID),
		TargetSubsystem:       r.TargetSubsystem,
		TargetParameter:       r.TargetParameter,
		CounterpartClass:      r.CounterpartClass,
	})
}

// UnmarshalJSON reads what [ParseRecord] reads. A call that asks for a replay
// ("emit_traces": false) is refused, since a Record cannot carry that wish and
// would be stored.
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

// parseTime reads RFC 3339. A time without an offset is refused: its instant
// would be a guess.
func parseTime(text string) (at time.Time, reason string) {
	at, err := time.Parse(time.RFC3339, text)
	if err == nil {
		return at, ""
	}
	if _, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return time.Time{}, "is a naive time: add its offset, Z or ±hh:mm"
	}
	return time.Time{}, "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00.000000Z"
}
