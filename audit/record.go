package audit

import (
	"time"

	"github.com/google/uuid"
)

// Record is one decision of the coordinator about one envelope, and one row of
// coordination_audit_records. Its fields are in column order.
type Record struct {
	// AuditID identifies the record. Persisting the same id and content twice stores one
	// row. If it is zero, the persist call makes a new one (UUID version 7).
	AuditID uuid.UUID

	// EnvelopeID names the envelope decided on, in 1 to 100 characters.
	EnvelopeID string

	// EnvelopeClass is the envelope's class. "" is stored as [Unknown].
	EnvelopeClass EnvelopeClass

	// Decision is required.
	Decision Decision

	// Reason says why, to a person. It must not be blank and has at most [MaxReasonBytes]
	// bytes.
	Reason string

	// DecisionTimestamp is when the decision was made. Required, in the years 1 to 9999.
	// It is stored in UTC and truncated to microseconds, PostgreSQL's resolution. A record
	// that was read may have any time that PostgreSQL can hold, including [InfinitePast]
	// and [InfiniteFuture].
	DecisionTimestamp time.Time

	// ConflictingEnvelopeID names the envelope that this one conflicts with, in at most
	// 100 characters. "" means none. An APPLIED record has none.
	ConflictingEnvelopeID string

	// PreemptingEnvelopeID names the preemptor, the envelope that took this one's place,
	// in at most 100 characters. "" means none. A PREEMPTED record has one, others have
	// none.
	PreemptingEnvelopeID string

	// ActiveEnvelopesCount is the number of active envelopes after the decision. It is not
	// negative.
	ActiveEnvelopesCount int32

	// TenantID names the tenant, in at most 100 characters. "" means no tenant.
	TenantID string

	// TargetSubsystem names the subsystem that the envelope changes, in at most 100
	// characters. "" means that it is not stated.
	TargetSubsystem string

	// TargetParameter names the parameter of the subsystem that the envelope changes, in
	// at most 100 characters. "" means that it is not stated.
	TargetParameter string

	// CounterpartClass is the class of the conflicting envelope or the preemptor. ""
	// means that it is not stated. [Unknown] means that the other envelope declared none.
	// A record that names no other envelope has none.
	CounterpartClass EnvelopeClass

	// ReasonCode is the reason for a machine, such as "SAME_PARAMETER", in at most 100
	// characters. "" means that it is not stated.
	ReasonCode string

	// PolicyVersion names the version of the rules that decided, in at most 100
	// characters. "" means that it is not stated.
	PolicyVersion string

	// Actor names who decided, an instance of a service or a person, in at most 100
	// characters. "" means that it is not stated.
	Actor string

	// Links name other records and the action that this record belongs to.
	Links Links

	// Details are further facts as a JSON object. "" means none. See [Details].
	Details Details

	// Origin is where the record came from. It is stored, and is not compared when an id
	// comes again.
	Origin Origin

	// Seq is the record's number in the order of insertion. The database sets it, and
	// persisting ignores it. Two records may share a number after a restore or a failover
	// has set the sequence back.
	Seq int64

	// CreatedAt is the database's clock at insertion. The database sets it, and persisting
	// ignores it.
	CreatedAt time.Time
}

// Normalized returns the record as it is stored and read back. The class is not empty,
// the decision time is in UTC, truncated to microseconds, and the details are in their
// normal form. Details that have none stay as they are. It makes no id.
func (r Record) Normalized() Record {
	r.EnvelopeClass = r.EnvelopeClass.OrUnknown()
	r.DecisionTimestamp = r.DecisionTimestamp.UTC().Truncate(time.Microsecond)
	r.Details = r.Details.normalized()
	return r
}

// DiffersIn returns the names of the fields in which two records with the same id
// differ, in column order. It returns nil if their content is equal. Details are compared
// with [Details.Equal].
//
// It ignores AuditID, Seq and CreatedAt, which are not content, and Origin. The trace and
// the source are where a record came from, not what it says: a second attempt may come
// from another trace or another source.
func (r Record) DiffersIn(other Record) []string {
	a, b := r.Normalized(), other.Normalized()
	var fields []string
	differs := func(field string, different bool) {
		if different {
			fields = append(fields, field)
		}
	}
	differs(fieldEnvelopeID, a.EnvelopeID != b.EnvelopeID)
	differs(fieldEnvelopeClass, a.EnvelopeClass != b.EnvelopeClass)
	differs(fieldDecision, a.Decision != b.Decision)
	differs(fieldReason, a.Reason != b.Reason)
	differs(fieldDecisionTimestamp, !a.DecisionTimestamp.Equal(b.DecisionTimestamp))
	differs(fieldConflictingEnvelopeID, a.ConflictingEnvelopeID != b.ConflictingEnvelopeID)
	differs(fieldPreemptingEnvelopeID, a.PreemptingEnvelopeID != b.PreemptingEnvelopeID)
	differs(fieldActiveEnvelopesCount, a.ActiveEnvelopesCount != b.ActiveEnvelopesCount)
	differs(fieldTenantID, a.TenantID != b.TenantID)
	differs(fieldTargetSubsystem, a.TargetSubsystem != b.TargetSubsystem)
	differs(fieldTargetParameter, a.TargetParameter != b.TargetParameter)
	differs(fieldCounterpartClass, a.CounterpartClass != b.CounterpartClass)
	differs(fieldReasonCode, a.ReasonCode != b.ReasonCode)
	differs(fieldPolicyVersion, a.PolicyVersion != b.PolicyVersion)
	differs(fieldActor, a.Actor != b.Actor)
	differs(fieldCausedBy, a.Links.CausedBy != b.Links.CausedBy)
	differs(fieldCorrects, a.Links.Corrects != b.Links.Corrects)
	differs(fieldCorrelationID, a.Links.CorrelationID != b.Links.CorrelationID)
	differs(fieldDetails, a.Details != b.Details) // both are normalized
	return fields
}

// The names of the fields. They are the columns. The predecessor has those up to
// tenant_id as arguments, and emit_traces. format is a key in JSON only.
const (
	fieldAuditID               = "audit_id"
	fieldEnvelopeID            = "envelope_id"
	fieldEnvelopeClass         = "envelope_class"
	fieldDecision              = "decision"
	fieldReason                = "reason"
	fieldDecisionTimestamp     = "decision_timestamp"
	fieldConflictingEnvelopeID = "conflicting_envelope_id"
	fieldPreemptingEnvelopeID  = "preempting_envelope_id"
	fieldActiveEnvelopesCount  = "active_envelopes_count"
	fieldTenantID              = "tenant_id"
	fieldTargetSubsystem       = "target_subsystem"
	fieldTargetParameter       = "target_parameter"
	fieldCounterpartClass      = "counterpart_class"
	fieldReasonCode            = "reason_code"
	fieldPolicyVersion         = "policy_version"
	fieldActor                 = "actor"
	fieldCausedBy              = "caused_by"
	fieldCorrects              = "corrects"
	fieldCorrelationID         = "correlation_id"
	fieldTraceID               = "trace_id"
	fieldSpanID                = "span_id"
	fieldDetails               = "details"
	fieldSourceID              = "source_id"
	fieldSourceSeq             = "source_seq"
	fieldEmitTraces            = "emit_traces"
	fieldFormat                = "format"
)

// ParseAuditID reads an audit id in its 36-character form, in any case. It refuses
// braces, "urn:uuid:", missing or misplaced hyphens, blanks and the nil UUID with an
// [InvalidRecordError].
func ParseAuditID(text string) (uuid.UUID, error) {
	const canonicalLength = 36
	// uuid.Parse alone is lenient and also takes three other spellings.
	if len(text) != canonicalLength {
		return uuid.Nil, invalidField(fieldAuditID, "must be a UUID in its 36-character form")
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, invalidField(fieldAuditID, "must be a UUID in its 36-character form")
	}
	if id == uuid.Nil {
		return uuid.Nil, invalidField(fieldAuditID, "must not be the nil UUID")
	}
	return id, nil
}
