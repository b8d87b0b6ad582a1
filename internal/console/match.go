package console

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// matches reports whether a listing by the query would show the record. One follower reads for
// all watchers, so what each of them sees is chosen here.
func matches(q *audit.Query, rec *audit.Record) bool {
	return inScope(q.Scope, rec.TenantID) &&
		oneOf(q.EnvelopeIDs, rec.EnvelopeID) && oneOf(q.EnvelopeClasses, rec.EnvelopeClass) && oneOf(q.Decisions, rec.Decision) &&
		is(q.ConflictingEnvelopeID, rec.ConflictingEnvelopeID) && is(q.PreemptingEnvelopeID, rec.PreemptingEnvelopeID) &&
		is(q.TargetSubsystem, rec.TargetSubsystem) && is(q.TargetParameter, rec.TargetParameter) &&
		strings.Contains(rec.Reason, q.ReasonContains) &&
		is(q.ReasonCode, rec.ReasonCode) && is(q.PolicyVersion, rec.PolicyVersion) && is(q.Actor, rec.Actor) &&
		(q.CausedBy == uuid.Nil || q.CausedBy == rec.Links.CausedBy) && (q.Corrects == uuid.Nil || q.Corrects == rec.Links.Corrects) &&
		is(q.CorrelationID, rec.Links.CorrelationID) && (q.TraceID == audit.TraceID{} || q.TraceID == rec.Origin.TraceID)
}

// inScope is false for the zero scope, which sees nothing.
func inScope(scope audit.Scope, tenantID string) bool {
	return scope.Validate() == nil && (scope.IsAllTenants() || scope.TenantID() == tenantID)
}

func oneOf[T comparable](wanted []T, value T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

func is(wanted, value string) bool { return wanted == "" || wanted == value }
