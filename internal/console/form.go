package console

import (
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
)

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
	f.Windows = v.windows("/records", f.Since, "1h", usualWindow, "7d", "31d", everything)
}

// windows are links to the same page with other windows.
func (v *visit) windows(path, since string, choices ...string) []navItem {
	items := make([]navItem, len(choices))
	for i, text := range choices {
		items[i] = navItem{Text: text, Href: v.with(path, paramSince, text, paramUntil, "", paramCursor, ""), Current: since == text && !v.has(paramUntil)}
	}
	return items
}
