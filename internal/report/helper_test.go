package report_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{} // the test that asked for it then fails by its text
	}
	return t
}

func written(t *testing.T, data report.Data) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.Write(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// empty is a report on a window in which nothing was decided.
func empty() report.Data {
	return report.Data{
		Query: audit.SignalQuery{Scope: audit.AllTenants(), Window: audit.Window{Since: at("2026-01-01T00:00:00Z")}},
		Made:  at("2026-01-08T09:30:00Z"),
	}
}

// filled has something in every part. All its texts are of one kind.
func filled(text string) report.Data {
	since, until := at("2026-01-01T00:00:00Z"), at("2026-01-08T00:00:00Z")
	data := empty()
	data.Query.Scope = audit.Tenant(text)
	data.Query.Window.Until = until
	var recs []audit.Record
	for i, decision := range []audit.Decision{
		audit.Applied, audit.Preempted, audit.Applied, audit.Rejected, audit.Preempted, audit.Applied,
	} {
		rec := audit.Record{
			AuditID:           uuid.MustParse(fmt.Sprintf("11111111-1111-4111-8111-%012d", i)),
			EnvelopeID:        text,
			EnvelopeClass:     audit.Cost,
			Decision:          decision,
			Reason:            "because " + text,
			DecisionTimestamp: since.Add(time.Duration(i) * 25 * time.Hour),
			TenantID:          text,
			TargetSubsystem:   text,
			TargetParameter:   text,
			ReasonCode:        text,
			PolicyVersion:     text,
			Actor:             text,
			Links:             audit.Links{CausedBy: uuid.Max, Corrects: uuid.Max, CorrelationID: text},
			Details:           audit.Details(text),
			Origin:            audit.Origin{TraceID: audit.TraceID{1}, SpanID: audit.SpanID{2}, SourceID: uuid.Max, SourceSeq: 3},
		}
		if decision == audit.Preempted {
			rec.PreemptingEnvelopeID, rec.CounterpartClass = text, audit.Safety
		}
		if decision == audit.Rejected {
			rec.ConflictingEnvelopeID, rec.CounterpartClass = text, audit.Unknown
		}
		recs = append(recs, rec)
	}
	first, last := recs[0].DecisionTimestamp, recs[5].DecisionTimestamp
	data.Latest = recs
	data.Breakdown = audit.Breakdown{
		Window:    data.Query.Window,
		Total:     6,
		FirstSeen: first,
		LastSeen:  last,
		ByClassDecision: map[audit.EnvelopeClass]map[audit.Decision]int64{
			audit.Cost: {audit.Applied: 3, audit.Rejected: 1, audit.Preempted: 2},
		},
		ByTenant: map[string]int64{text: 6},
	}
	for _, rec := range recs {
		data.Breakdown.ByDay = append(data.Breakdown.ByDay, audit.DayCount{
			Day:     rec.DecisionTimestamp.Truncate(24 * time.Hour),
			ByClass: map[audit.EnvelopeClass]int64{audit.Cost: 1},
		})
	}
	data.Breakdown.ByReasonCode = map[string]map[audit.Decision]int64{
		text:       {audit.Applied: 3, audit.Rejected: 1},
		text + "2": {audit.Preempted: 2, audit.Decision(text): 1},
	}
	oscillation := audit.Oscillation{
		TenantID: text, EnvelopeID: text, Cycles: 2, FirstPreempted: first, LastReapplied: last,
		PreemptingEnvelopes: map[string]int64{text: 1, text + "2": 1},
	}
	data.Lanes = []report.Lane{{Oscillation: oscillation, Records: recs}}
	data.Signals = signals(text, first, last)
	data.Completeness = accountOf(text, first, last)
	data.Sealing = sealingOf(text)
	data.Signals.Oscillations = []audit.Oscillation{oscillation}
	return data
}

func signals(text string, first, last time.Time) audit.Signals {
	return audit.Signals{
		RejectionRates: []audit.RejectionRate{{EnvelopeClass: audit.Cost, Rejected: 1, Total: 6}},
		Friction: []audit.Friction{
			{EnvelopeClass: audit.Cost, CounterpartClass: audit.Safety, Conflicts: 5, Rejected: 3, Preempted: 2},
			{EnvelopeClass: audit.Cost, CounterpartClass: audit.Unknown, Conflicts: 1, Rejected: 1},
			{EnvelopeClass: audit.Safety, CounterpartClass: audit.Unresolved, Conflicts: 2, Rejected: 2},
		},
		RepeatedRejections: []audit.RepeatedRejection{
			{TenantID: text, EnvelopeID: text, Rejections: 3, FirstSeen: first, LastSeen: last},
		},
		RepeatedParameterRejections: []audit.RepeatedParameterRejection{{
			TenantID: text, TargetSubsystem: text, TargetParameter: text, Rejections: 3, FirstSeen: first, LastSeen: last,
			CounterpartClasses: map[audit.EnvelopeClass]int64{audit.Safety: 2, audit.Unknown: 1},
		}},
		PreemptionCycles: audit.PreemptionCycles{Total: 5, AtLeast: true, Heaviest: []audit.PreemptionCycle{{TenantID: text, Turns: 2, Steps: []audit.PreemptionStep{
			{EnvelopeID: text, Preemptions: 2, FirstSeen: first, LastSeen: last, Evidence: audit.Evidence{AuditIDs: []uuid.UUID{{15: 7}}, Records: 2}},
			{EnvelopeID: text + "2", Preemptions: 9, FirstSeen: first, LastSeen: last},
			{EnvelopeID: text + "3", Preemptions: 3, FirstSeen: first, LastSeen: last},
		}}}},
	}
}
