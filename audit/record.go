package audit

import (
	"time"

	"github.com/google/uuid"
)

// Record is one decision of the coordinator about one envelope: one row of
// coordination_audit_records. Its fields stand in the table's column order.
type Record struct {
	// AuditID identifies the record. Persisting the same id and content twice
	// stores one row. Zero means: make one (UUID version 7).
	AuditID uuid.UUID

	// EnvelopeID names the envelope decided on: 1 to 100 characters.
	EnvelopeID string

	// EnvelopeClass is the envelope's class; zero is stored as [Unknown].
	EnvelopeClass EnvelopeClass

	// Decision is required.
	Decision Decision

	// Reason says why, to a person: not blank, at most [MaxReasonBytes] bytes.
	Reason string

	// DecisionTimestamp is when the decision was made, years 1 to 9999. It is
	// stored in UTC and truncated to microseconds, PostgreSQL's resolution.
	// Required: the zero time is refused.
	DecisionTimestamp time.Time

	// ConflictingEnvelopeID names the envelope that stood in the way: at most 100
	// characters; empty means none. An APPLIED record has none.
	ConflictingEnvelopeID string

	// PreemptingEnvelopeID names the envelope that took this one's place: at most
	// 100 characters; empty means none. A PREEMPTED record has one, others none.
	PreemptingEnvelopeID string

	// ActiveEnvelopesCount is how many envelopes were active after the decision.
	// Not negative.
	ActiveEnvelopesCount int32

	// TenantID names the tenant: at most 100 characters; empty means none.
	TenantID string

	// TargetSubsystem names the subsystem that the envelope steers: at most 100
	// characters; empty means that it is not stated.
	TargetSubsystem string

	// TargetParameter names the subsystem's parameter that the envelope steers: at
	// most 100 characters; empty means that it is not stated.
	TargetParameter string

	// CounterpartClass is the class of the conflicting or preempting envelope; zero
	// means that it is not stated, [Unknown] that the other envelope declared none.
	// A record that names neither envelope has none.
	CounterpartClass EnvelopeClass

	// Seq is the record's place in the order of insertion. The database sets it;
	// persisting ignores it.
	Seq int64

	// CreatedAt is the database's clock at the insertion. The database sets it;
	// persisting ignores it.
	CreatedAt time.Time
}

// Normalized returns the record as it is stored and read back: the class never
// empty, the decision's time in UTC and truncated to microseconds. It makes no id.
func (r Record) Normalized() Record {
	r.EnvelopeClass = r.EnvelopeClass.OrUnknown()
	r.DecisionTimestamp = r.DecisionTimestamp.UTC().Truncate(time.Microsecond)
	return r
}

// DiffersIn returns the names of the fields in which two records of the same
// id differ, in column order; none means that they say the same. AuditID, Seq
// and CreatedAt are not content, so they are not compared.
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
	return fields
}

// The fields' names: the columns, and the arguments of the predecessor, which knew
// all but the last three of the columns.
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
	fieldEmitTraces            = "emit_traces"
)
