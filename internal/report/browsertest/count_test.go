package browsertest_test

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cycles"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

func breakdownOf(recs []audit.Record) audit.Breakdown {
	found := audit.Breakdown{
		Total:           int64(len(recs)),
		FirstSeen:       recs[0].DecisionTimestamp,
		LastSeen:        recs[len(recs)-1].DecisionTimestamp,
		ByClassDecision: make(map[audit.EnvelopeClass]map[audit.Decision]int64),
		ByTenant:        make(map[string]int64),
	}
	for _, rec := range recs {
		if found.ByClassDecision[rec.EnvelopeClass] == nil {
			found.ByClassDecision[rec.EnvelopeClass] = make(map[audit.Decision]int64)
		}
		found.ByClassDecision[rec.EnvelopeClass][rec.Decision]++
		found.ByTenant[rec.TenantID]++
		found.MaxActiveEnvelopes = max(found.MaxActiveEnvelopes, rec.ActiveEnvelopesCount)
		day := rec.DecisionTimestamp.Truncate(24 * time.Hour)
		if n := len(found.ByDay); n == 0 || !found.ByDay[n-1].Day.Equal(day) {
			found.ByDay = append(found.ByDay, audit.DayCount{Day: day, ByClass: make(map[audit.EnvelopeClass]int64)})
		}
		found.ByDay[len(found.ByDay)-1].ByClass[rec.EnvelopeClass]++
	}
	return found
}

func codesOf(recs []audit.Record) map[string]map[audit.Decision]int64 {
	counts := make(map[string]map[audit.Decision]int64)
	for _, rec := range recs {
		if counts[rec.ReasonCode] == nil {
			counts[rec.ReasonCode] = make(map[audit.Decision]int64)
		}
		counts[rec.ReasonCode][rec.Decision]++
	}
	return counts
}

// signalsOf finds the signals of the sample by the definitions of package audit. It assumes
// that each envelope id belongs to one tenant, as in the sample.
func signalsOf(recs []audit.Record) (audit.Signals, []report.Lane) {
	rates := make(map[audit.EnvelopeClass]*audit.RejectionRate)
	friction := make(map[[2]audit.EnvelopeClass]*audit.Friction)
	rejected := make(map[string]*audit.RepeatedRejection)
	contested := make(map[string]*audit.RepeatedParameterRejection)
	lanes := make(map[string]*report.Lane)
	for _, rec := range recs {
		rate := entry(rates, rec.EnvelopeClass)
		rate.EnvelopeClass = rec.EnvelopeClass
		rate.Total++
		lane := entry(lanes, rec.EnvelopeID)
		lane.Oscillation.EnvelopeID, lane.Oscillation.TenantID = rec.EnvelopeID, rec.TenantID
		lane.Records = append(lane.Records, rec)
		if rec.Decision != audit.Applied {
			f := entry(friction, [2]audit.EnvelopeClass{rec.EnvelopeClass, rec.CounterpartClass})
			f.EnvelopeClass, f.CounterpartClass = rec.EnvelopeClass, rec.CounterpartClass
			f.Conflicts++
			if rec.Decision == audit.Rejected {
				f.Rejected++
			} else {
				f.Preempted++
			}
		}
		if rec.Decision == audit.Rejected {
			rate.Rejected++
			one := entry(rejected, rec.EnvelopeID)
			one.TenantID, one.EnvelopeID, one.LastSeen = rec.TenantID, rec.EnvelopeID, rec.DecisionTimestamp
			one.Rejections++
			target := entry(contested, rec.TenantID+"\n"+rec.TargetParameter)
			target.TenantID, target.TargetSubsystem, target.TargetParameter = rec.TenantID, rec.TargetSubsystem, rec.TargetParameter
			target.LastSeen = rec.DecisionTimestamp
			target.Rejections++
			if target.CounterpartClasses == nil {
				target.CounterpartClasses = make(map[audit.EnvelopeClass]int64)
			}
			target.CounterpartClasses[rec.CounterpartClass]++
		}
	}
	var oscillating []report.Lane
	for _, lane := range sorted(lanes, func(l report.Lane) int64 { return countCycles(&l).Cycles }) {
		if lane.Oscillation = countCycles(&lane); lane.Oscillation.Cycles >= audit.DefaultMinCycles {
			oscillating = append(oscillating, lane)
		}
	}
	signals := audit.Signals{
		RejectionRates:              sorted(rates, func(r audit.RejectionRate) int64 { return r.Rejected }),
		Friction:                    sorted(friction, func(f audit.Friction) int64 { return f.Conflicts }),
		RepeatedRejections:          sorted(rejected, func(r audit.RepeatedRejection) int64 { return r.Rejections }),
		RepeatedParameterRejections: sorted(contested, func(r audit.RepeatedParameterRejection) int64 { return r.Rejections }),
	}
	signals.PreemptionCycles = cyclesOf(recs)
	for _, lane := range oscillating {
		signals.Oscillations = append(signals.Oscillations, lane.Oscillation)
	}
	return signals, oscillating
}

func entry[K comparable, V any](in map[K]*V, key K) *V {
	if in[key] == nil {
		in[key] = new(V)
	}
	return in[key]
}

// sorted puts the largest first. The order of ties is open, because no test needs it.
func sorted[K comparable, V any](of map[K]*V, number func(V) int64) []V {
	all := make([]V, 0, len(of))
	for _, one := range of {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b V) int { return cmp.Compare(number(b), number(a)) })
	return all
}

func countCycles(lane *report.Lane) audit.Oscillation {
	found := lane.Oscillation
	found.Cycles, found.PreemptingEnvelopes = 0, make(map[string]int64)
	var out *audit.Record
	for i := range lane.Records {
		rec := &lane.Records[i]
		switch {
		case rec.Decision == audit.Preempted:
			out = rec
		case rec.Decision == audit.Applied && out != nil:
			if found.Cycles == 0 {
				found.FirstPreempted = out.DecisionTimestamp
			}
			found.Cycles++
			found.PreemptingEnvelopes[out.PreemptingEnvelopeID]++
			found.LastReapplied = rec.DecisionTimestamp
			out = nil
		}
	}
	return found
}

// cyclesOf are the preemption cycles of the records, each step with its newest record.
func cyclesOf(recs []audit.Record) audit.PreemptionCycles {
	edges := make(map[[3]string]*cycles.Edge)
	newest := make(map[[3]string]audit.Record)
	for _, rec := range recs {
		if rec.Decision == audit.Preempted {
			key := [3]string{rec.TenantID, rec.EnvelopeID, rec.PreemptingEnvelopeID}
			edge := entry(edges, key)
			edge.Tenant, edge.Envelope, edge.Preemptor = key[0], key[1], key[2]
			edge.Preemptions++
			newest[key] = rec
		}
	}
	found, err := cycles.Find(context.Background(), sorted(edges, func(e cycles.Edge) int64 { return e.Preemptions }), audit.MaxPreemptionCycles)
	if err != nil {
		panic(err) // the context never ends
	}
	all := audit.PreemptionCycles{Total: found.Total, AtLeast: found.AtLeast}
	for _, c := range found.Heaviest {
		cycle := audit.PreemptionCycle{TenantID: c.Tenant, Turns: c.Turns}
		for i, envelope := range c.Envelopes {
			last := newest[[3]string{c.Tenant, envelope, c.Envelopes[(i+1)%len(c.Envelopes)]}]
			cycle.Steps = append(cycle.Steps, audit.PreemptionStep{
				EnvelopeID: envelope, Preemptions: c.Counts[i], LastSeen: last.DecisionTimestamp,
				Evidence: audit.Evidence{AuditIDs: []uuid.UUID{last.AuditID}},
			})
		}
		all.Heaviest = append(all.Heaviest, cycle)
	}
	return all
}
