package report

import (
	"strconv"

	"github.com/hoc-analytics/coordaudit/audit"
)

// fact is one optional field of a record, under its reason.
type fact struct{ Name, Value string }

// factsOf are the facts about the decision, the links and the origin that a record states.
// The reason code has a place of its own.
func factsOf(rec audit.Record) []fact {
	var stated []fact
	add := func(name, value string) {
		if value != "" {
			stated = append(stated, fact{name, value})
		}
	}
	add("policy", rec.PolicyVersion)
	add("decided by", rec.Actor)
	add("caused by", idText(rec.Links.CausedBy))
	add("corrects", idText(rec.Links.Corrects))
	add("correlation", rec.Links.CorrelationID)
	add("trace", rec.Origin.TraceID.String())
	add("span", rec.Origin.SpanID.String())
	add("details", clipped(string(rec.Details)))
	if source := idText(rec.Origin.SourceID); source != "" {
		add("source", source+" no. "+strconv.FormatInt(rec.Origin.SourceSeq, 10))
	}
	return stated
}

// idText is empty if there is no id.
func idText[ID interface {
	comparable
	String() string
}](id ID) string {
	var none ID
	if id == none {
		return ""
	}
	return id.String()
}
