package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// boundScan refuses a search that may read the whole trail to fill a page.
func boundScan(q audit.Query, v *visit) error {
	if !scans(q) || len(q.EnvelopeIDs) > 0 || v.isBounded(q.Window) {
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

// isBounded reports a window of at most maxWindow, and a minute for the time that passes
// between two looks at the clock.
func (v *visit) isBounded(w audit.Window) bool {
	until := w.Until
	if until.IsZero() {
		until = v.now
	}
	return !w.Since.IsZero() && until.Sub(w.Since) <= maxWindow+time.Minute
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

// searchForm is the form of the search, with what was asked for.
type searchForm struct {
	Action       string
	Envelope     string
	Classes      []choice
	Decisions    []choice
	Since, Until string
	Windows      []navItem // links to common windows
	Texts        []field
	More         bool // a field of the second row is filled in
	Oldest       bool
	Tenant       string
	NoTenant     bool
	AnyTenant    bool // the scope is all tenants, so one may be chosen
	Live         bool // the form of the live tail has no window
}

type choice struct {
	Text   string
	Chosen bool
}

type field struct {
	Name, Label, Value string
	Main               bool // in the first row
}

func (f *searchForm) fill(v *visit, q audit.Query) {
	f.Action = "/records"
	if len(q.EnvelopeIDs) > 0 {
		f.Envelope = q.EnvelopeIDs[0]
	}
	for _, class := range audit.EnvelopeClasses() {
		f.Classes = append(f.Classes, choice{string(class), slices.Contains(q.EnvelopeClasses, class)})
	}
	for _, decision := range audit.Decisions() {
		f.Decisions = append(f.Decisions, choice{string(decision), slices.Contains(q.Decisions, decision)})
	}
	for _, of := range textFilters() {
		f.Texts = append(f.Texts, field{of.name, of.label, v.text(of.name), of.name == paramReason || of.name == paramCode})
	}
	for _, of := range []field{{Name: "caused-by", Label: "Caused by record"}, {Name: "corrects", Label: "Corrects record"}, {Name: "trace-id", Label: "Trace id"}} {
		of.Value = v.text(of.Name)
		f.Texts = append(f.Texts, of)
	}
	for _, of := range f.Texts {
		f.More = f.More || !of.Main && of.Value != ""
	}
	f.Oldest = q.Order == audit.OldestFirst
	f.Tenant, f.NoTenant, f.AnyTenant = v.text(paramTenant), v.has(paramNoTenant), v.scope.IsAllTenants()
	choices := []string{"1h", usualWindow, "7d", "31d", everything}
	if scans(q) && len(q.EnvelopeIDs) == 0 {
		choices = choices[:len(choices)-1] // boundScan would refuse it
	}
	f.Windows = v.windows("/records", f.Since, choices...)
}

// windows are links to the same page with other windows.
func (v *visit) windows(path, since string, choices ...string) []navItem {
	items := make([]navItem, len(choices))
	for i, text := range choices {
		items[i] = navItem{Text: text, Href: v.with(path, paramSince, text, paramUntil, "", paramCursor, ""), Current: since == text && !v.has(paramUntil)}
	}
	return items
}
