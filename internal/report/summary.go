package report

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// tile is one number of the header.
type tile struct{ Name, Value, Note string }

func tiles(b audit.Breakdown) []tile {
	counts := byDecision(b)
	all := []tile{{Name: "records", Value: format.Thousands(b.Total)}}
	for _, decision := range audit.Decisions() {
		all = append(all, tile{
			Name:  decisionKey(decision),
			Value: format.Thousands(counts[decision]),
			Note:  percent(counts[decision], b.Total),
		})
	}
	tenants, untold := int64(len(b.ByTenant)), b.ByTenant[""]
	note := ""
	if untold > 0 {
		tenants--
		note = "and " + format.Plural(untold, "record") + " of no tenant"
	}
	return append(all,
		tile{Name: "tenants", Value: format.Thousands(tenants), Note: note},
		tile{Name: "most active at once", Value: format.Thousands(int64(b.MaxActiveEnvelopes))})
}

func byDecision(b audit.Breakdown) map[audit.Decision]int64 {
	counts := make(map[audit.Decision]int64)
	for _, decisions := range b.ByClassDecision {
		for decision, n := range decisions {
			counts[decision] += n
		}
	}
	return counts
}

// share is a part of a bar that the decisions divide.
type share struct {
	Decision    audit.Decision
	Count       int64
	Percent     string
	Left, Width string
}

func shares(b audit.Breakdown) []share {
	counts := byDecision(b)
	var all []share
	left := 0.0
	for _, decision := range audit.Decisions() {
		n := counts[decision]
		width := ratio(n, b.Total)
		all = append(all, share{decision, n, percent(n, b.Total), length(left), length(width)})
		left += width
	}
	return all
}

// rate is one bar of the rejection rates.
type rate struct {
	audit.RejectionRate
	Percent string
	Width   string
}

func rates(of []audit.RejectionRate) []rate {
	of = slices.Clone(of)
	slices.SortStableFunc(of, func(a, b audit.RejectionRate) int {
		return cmp.Compare(classRank(a.EnvelopeClass), classRank(b.EnvelopeClass))
	})
	all := make([]rate, len(of))
	for i, r := range of {
		all[i] = rate{r, percent(r.Rejected, r.Total), length(min(r.Rate(), 1))}
	}
	return all
}

// classRank orders the classes of a chart by priority, with unknown ones last.
func classRank(class audit.EnvelopeClass) int {
	if i := slices.Index(audit.EnvelopeClasses(), class); i >= 0 {
		return i
	}
	return len(audit.EnvelopeClasses())
}

func classesOf[V any](counts map[audit.EnvelopeClass]V) []audit.EnvelopeClass {
	return slices.SortedFunc(maps.Keys(counts), func(a, b audit.EnvelopeClass) int {
		return cmp.Or(cmp.Compare(classRank(a), classRank(b)), cmp.Compare(a, b))
	})
}
