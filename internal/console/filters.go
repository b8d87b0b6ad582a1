package console

import (
	"net/http"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// boundScan refuses a search that may read the whole trail to fill a page.
func boundScan(q audit.Query, now time.Time, v *visit) error {
	if !scans(q) || len(q.EnvelopeIDs) > 0 {
		return nil
	}
	until := q.Window.Until
	if until.IsZero() {
		until = now
	}
	if !q.Window.Since.IsZero() && until.Sub(q.Window.Since) <= maxScan+time.Minute {
		return nil
	}
	return &fault{
		status: http.StatusBadRequest, title: "The window is too long",
		text: "No index serves a search by text, reason code, policy, actor, target, action or trace. It reads every record of its window, so the window may have 31 days.",
		next: "Shorten the window, or name an envelope as well.",
		links: []link{
			{"The last 31 days", v.with("/records", paramSince, "31d", paramUntil, "", paramCursor, "")},
			{"The last 24 hours", v.with("/records", paramSince, "", paramUntil, "", paramCursor, "")},
		},
	}
}

// scans reports a filter that no index serves.
func scans(q audit.Query) bool {
	return q.ReasonContains+q.ReasonCode+q.PolicyVersion+q.Actor+q.CorrelationID+q.TargetSubsystem+q.TargetParameter != "" || q.TraceID != audit.TraceID{}
}

// filters reads the filters of a query.
func (v *visit) filters(q *audit.Query) error {
	q.EnvelopeIDs = v.values[paramEnvelope]
	for _, text := range v.values[paramClass] {
		class, err := audit.ParseEnvelopeClass(text)
		if err != nil {
			return badParameter("class", format.FaultsOf(err)[0].Reason)
		}
		q.EnvelopeClasses = append(q.EnvelopeClasses, class)
	}
	for _, text := range v.values[paramDecision] {
		decision, err := audit.ParseDecision(text)
		if err != nil {
			return badParameter("decision", format.FaultsOf(err)[0].Reason)
		}
		q.Decisions = append(q.Decisions, decision)
	}
	for _, field := range textFilters() {
		*field.of(q) = v.text(field.name)
	}
	return v.idFilters(q)
}

// textFilter is a filter by a text.
type textFilter struct {
	name, label string
	of          func(q *audit.Query) *string
}

// textFilters are in the order of the form.
func textFilters() []textFilter {
	return []textFilter{
		{paramReason, "Reason contains", func(q *audit.Query) *string { return &q.ReasonContains }},
		{paramCode, "Reason code", func(q *audit.Query) *string { return &q.ReasonCode }},
		{"conflicting", "Conflicting envelope", func(q *audit.Query) *string { return &q.ConflictingEnvelopeID }},
		{"preempting", "Preemptor", func(q *audit.Query) *string { return &q.PreemptingEnvelopeID }},
		{"subsystem", "Target subsystem", func(q *audit.Query) *string { return &q.TargetSubsystem }},
		{"parameter", "Target parameter", func(q *audit.Query) *string { return &q.TargetParameter }},
		{"policy-version", "Policy version", func(q *audit.Query) *string { return &q.PolicyVersion }},
		{"actor", "Actor", func(q *audit.Query) *string { return &q.Actor }},
		{"correlation-id", "Correlation id", func(q *audit.Query) *string { return &q.CorrelationID }},
	}
}

// idFilters reads the filters by an id.
func (v *visit) idFilters(q *audit.Query) error {
	var err error
	if v.has("caused-by") {
		if q.CausedBy, err = audit.ParseAuditID(v.text("caused-by")); err != nil {
			return badParameter("caused-by", format.FaultsOf(err)[0].Reason)
		}
	}
	if v.has("corrects") {
		if q.Corrects, err = audit.ParseAuditID(v.text("corrects")); err != nil {
			return badParameter("corrects", format.FaultsOf(err)[0].Reason)
		}
	}
	if v.has("trace-id") {
		if q.TraceID, err = audit.ParseTraceID(v.text("trace-id")); err != nil {
			return badParameter("trace-id", format.FaultsOf(err)[0].Reason)
		}
	}
	return nil
}
