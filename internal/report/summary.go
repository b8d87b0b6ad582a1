package report

import (
	"cmp"
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
			Name:  format.DecisionKey(decision),
			Value: format.Thousands(counts[decision]),
			Note:  format.Percent(counts[decision], b.Total),
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
		width := format.Ratio(n, b.Total)
		all = append(all, share{decision, n, format.Percent(n, b.Total), format.Length(left), format.Length(width)})
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
		return cmp.Compare(format.ClassRank(a.EnvelopeClass), format.ClassRank(b.EnvelopeClass))
	})
	all := make([]rate, len(of))
	for i, r := range of {
		all[i] = rate{r, format.Percent(r.Rejected, r.Total), format.Length(min(r.Rate(), 1))}
	}
	return all
}
