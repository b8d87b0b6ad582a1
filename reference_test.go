package coordaudit_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// reference computes breakdowns and signals from records in memory, by their definitions in package audit
// and not as the SQL does.
type reference struct {
	recs []audit.Record // in the trail's total order
}

// newReference expects the records in the order of their insertion.
func newReference(recs []audit.Record) reference {
	recs = slices.Clone(recs)
	slices.SortStableFunc(recs, func(a, b audit.Record) int { return a.DecisionTimestamp.Compare(b.DecisionTimestamp) })
	return reference{recs: recs}
}

func sees(scope audit.Scope, rec audit.Record) bool {
	return scope.IsAllTenants() || rec.TenantID == scope.TenantID()
}

func inWindow(w audit.Window, at time.Time) bool {
	return (w.Since.IsZero() || !at.Before(w.Since)) && (w.Until.IsZero() || at.Before(w.Until))
}

func (r reference) selected(scope audit.Scope, w audit.Window) []audit.Record {
	var selected []audit.Record
	for _, rec := range r.recs {
		if sees(scope, rec) && inWindow(w, rec.DecisionTimestamp) {
			selected = append(selected, rec)
		}
	}
	return selected
}

func (r reference) breakdown(scope audit.Scope, w audit.Window) audit.Breakdown {
	b := audit.Breakdown{
		Window:          w,
		ByClassDecision: map[audit.EnvelopeClass]map[audit.Decision]int64{},
		ByTenant:        map[string]int64{},
		ByReason:        map[string]int64{},
		ByReasonCode:    map[string]map[audit.Decision]int64{},
	}
	type target struct {
		class                audit.EnvelopeClass
		subsystem, parameter string
	}
	targets := map[target]map[audit.Decision]int64{}
	for _, rec := range r.selected(scope, w) {
		if b.Total == 0 {
			b.FirstSeen = rec.DecisionTimestamp
		}
		b.LastSeen = rec.DecisionTimestamp
		b.Total++
		b.MaxActiveEnvelopes = max(b.MaxActiveEnvelopes, rec.ActiveEnvelopesCount)
		if b.ByClassDecision[rec.EnvelopeClass] == nil {
			b.ByClassDecision[rec.EnvelopeClass] = map[audit.Decision]int64{}
		}
		b.ByClassDecision[rec.EnvelopeClass][rec.Decision]++
		b.ByTenant[rec.TenantID]++
		b.ByReason[rec.Reason]++
		if rec.ReasonCode != "" {
			if b.ByReasonCode[rec.ReasonCode] == nil {
				b.ByReasonCode[rec.ReasonCode] = map[audit.Decision]int64{}
			}
			b.ByReasonCode[rec.ReasonCode][rec.Decision]++
		}
		at := rec.DecisionTimestamp
		day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
		if n := len(b.ByDay); n == 0 || b.ByDay[n-1].Day != day {
			b.ByDay = append(b.ByDay, audit.DayCount{Day: day, ByClass: map[audit.EnvelopeClass]int64{}})
		}
		b.ByDay[len(b.ByDay)-1].ByClass[rec.EnvelopeClass]++
		if rec.TargetParameter != "" {
			of := target{rec.EnvelopeClass, rec.TargetSubsystem, rec.TargetParameter}
			if targets[of] == nil {
				targets[of] = map[audit.Decision]int64{}
			}
			targets[of][rec.Decision]++
		}
	}
	for of, n := range targets {
		b.ByParameter = append(b.ByParameter, audit.ParameterCount{
			EnvelopeClass: of.class, TargetSubsystem: of.subsystem, TargetParameter: of.parameter, ByDecision: n,
		})
	}
	slices.SortFunc(b.ByParameter, func(x, y audit.ParameterCount) int {
		return cmp.Or(
			cmp.Compare(x.EnvelopeClass, y.EnvelopeClass),
			cmp.Compare(x.TargetSubsystem, y.TargetSubsystem),
			cmp.Compare(x.TargetParameter, y.TargetParameter))
	})
	return b
}

func (r reference) signals(q audit.SignalQuery) audit.Signals {
	q = q.WithDefaults()
	s := audit.Signals{Window: q.Window}
	selected := r.selected(q.Scope, q.Window)
	s.RejectionRates = rejectionRates(selected, q.MinRecords, q.MaxEvidence)
	s.Oscillations = oscillations(selected, q)
	s.Friction, s.SelfConflicts = r.friction(selected, q)
	s.RepeatedRejections, s.RepeatedParameterRejections = repeatedRejections(selected, q)
	s.PreemptionCycles = preemptionCycles(selected, q)
	return s
}

// evidence returns the evidence of records that are in the trail's order.
func evidence(recs []audit.Record, limit int) audit.Evidence {
	ids := []uuid.UUID{}
	for _, rec := range slices.Backward(recs) {
		if len(ids) == limit {
			break
		}
		ids = append(ids, rec.AuditID)
	}
	return audit.Evidence{AuditIDs: ids, Records: int64(len(recs))}
}

func topCode(recs []audit.Record) (top audit.TopReasonCode) {
	for code, stating := range grouped(recs, func(rec audit.Record) string { return rec.ReasonCode }) {
		n := int64(len(stating))
		if code != "" && (n > top.Records || n == top.Records && code < top.ReasonCode) {
			top = audit.TopReasonCode{ReasonCode: code, Records: n}
		}
	}
	return top
}

func ofDecision(recs []audit.Record, decision audit.Decision) []audit.Record {
	return slices.DeleteFunc(slices.Clone(recs), func(rec audit.Record) bool { return rec.Decision != decision })
}

// grouped groups records and keeps the trail's order in each group.
func grouped[K comparable](recs []audit.Record, key func(audit.Record) K) map[K][]audit.Record {
	groups := map[K][]audit.Record{}
	for _, rec := range recs {
		groups[key(rec)] = append(groups[key(rec)], rec)
	}
	return groups
}

func rejectionRates(selected []audit.Record, minRecords, maxEvidence int) []audit.RejectionRate {
	var rates []audit.RejectionRate
	for class, recs := range grouped(selected, func(rec audit.Record) audit.EnvelopeClass { return rec.EnvelopeClass }) {
		if len(recs) < minRecords {
			continue
		}
		rejected := ofDecision(recs, audit.Rejected)
		rates = append(rates, audit.RejectionRate{
			EnvelopeClass: class, Rejected: int64(len(rejected)), Total: int64(len(recs)),
			FirstSeen: recs[0].DecisionTimestamp, LastSeen: recs[len(recs)-1].DecisionTimestamp,
			Evidence: evidence(rejected, maxEvidence), TopReasonCode: topCode(rejected),
		})
	}
	slices.SortFunc(rates, func(a, b audit.RejectionRate) int {
		return cmp.Or(cmp.Compare(b.Rejected, a.Rejected), cmp.Compare(a.EnvelopeClass, b.EnvelopeClass))
	})
	return rates
}

type tenantsEnvelope struct{ tenant, envelope string }

func envelopeOf(rec audit.Record) tenantsEnvelope {
	return tenantsEnvelope{rec.TenantID, rec.EnvelopeID}
}

func oscillations(selected []audit.Record, q audit.SignalQuery) []audit.Oscillation {
	var found []audit.Oscillation
	moves := slices.DeleteFunc(slices.Clone(selected), func(rec audit.Record) bool { return rec.Decision == audit.Rejected })
	for of, recs := range grouped(moves, envelopeOf) {
		o := audit.Oscillation{TenantID: of.tenant, EnvelopeID: of.envelope, PreemptingEnvelopes: map[string]int64{}}
		var witnesses []audit.Record
		for i, rec := range recs[:len(recs)-1] {
			if rec.Decision != audit.Preempted || recs[i+1].Decision != audit.Applied {
				continue
			}
			if o.Cycles == 0 {
				o.FirstPreempted = rec.DecisionTimestamp
			}
			o.Cycles++
			o.PreemptingEnvelopes[rec.PreemptingEnvelopeID]++
			o.LastReapplied = recs[i+1].DecisionTimestamp
			witnesses = append(witnesses, rec, recs[i+1])
		}
		o.Evidence = evidence(witnesses, q.MaxEvidence)
		if o.Cycles >= int64(q.MinCycles) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b audit.Oscillation) int {
		return cmp.Or(cmp.Compare(b.Cycles, a.Cycles), cmp.Compare(a.TenantID, b.TenantID), cmp.Compare(a.EnvelopeID, b.EnvelopeID))
	})
	return found
}

func (r reference) friction(selected []audit.Record, q audit.SignalQuery) ([]audit.Friction, audit.SelfConflicts) {
	type pair struct{ class, other audit.EnvelopeClass }
	pairs := map[pair][]audit.Record{}
	var self []audit.Record
	latest := map[tenantsEnvelope]audit.EnvelopeClass{} // up to the current record
	wanted := grouped(selected, func(rec audit.Record) uuid.UUID { return rec.AuditID })
	for _, rec := range r.recs {
		other := rec.ConflictingEnvelopeID
		if rec.Decision == audit.Preempted {
			other = rec.PreemptingEnvelopeID
		}
		switch {
		case wanted[rec.AuditID] == nil || other == "":
		case other == rec.EnvelopeID:
			self = append(self, rec)
		default:
			class := cmp.Or(rec.CounterpartClass, latest[tenantsEnvelope{rec.TenantID, other}], audit.Unresolved)
			pairs[pair{rec.EnvelopeClass, class}] = append(pairs[pair{rec.EnvelopeClass, class}], rec)
		}
		if rec.EnvelopeClass != audit.Unknown {
			latest[envelopeOf(rec)] = rec.EnvelopeClass
		}
	}
	var friction []audit.Friction
	for of, recs := range pairs {
		if len(recs) < q.MinConflicts {
			continue
		}
		friction = append(friction, audit.Friction{
			EnvelopeClass: of.class, CounterpartClass: of.other, Conflicts: int64(len(recs)),
			Rejected:  int64(len(ofDecision(recs, audit.Rejected))),
			Preempted: int64(len(ofDecision(recs, audit.Preempted))),
			Evidence:  evidence(recs, q.MaxEvidence), TopReasonCode: topCode(recs),
		})
	}
	slices.SortFunc(friction, func(a, b audit.Friction) int {
		return cmp.Or(cmp.Compare(b.Conflicts, a.Conflicts), cmp.Compare(a.EnvelopeClass, b.EnvelopeClass), cmp.Compare(a.CounterpartClass, b.CounterpartClass))
	})
	return friction, audit.SelfConflicts{Conflicts: int64(len(self)), Evidence: evidence(self, q.MaxEvidence), TopReasonCode: topCode(self)}
}

func repeatedRejections(selected []audit.Record, q audit.SignalQuery) (byEnvelope []audit.RepeatedRejection, byParameter []audit.RepeatedParameterRejection) {
	rejected := ofDecision(selected, audit.Rejected)
	for of, recs := range grouped(rejected, envelopeOf) {
		if len(recs) >= q.MinRejections {
			byEnvelope = append(byEnvelope, audit.RepeatedRejection{
				TenantID: of.tenant, EnvelopeID: of.envelope, Rejections: int64(len(recs)),
				FirstSeen: recs[0].DecisionTimestamp, LastSeen: recs[len(recs)-1].DecisionTimestamp,
				Evidence: evidence(recs, q.MaxEvidence), TopReasonCode: topCode(recs),
			})
		}
	}
	slices.SortFunc(byEnvelope, func(a, b audit.RepeatedRejection) int {
		return cmp.Or(cmp.Compare(b.Rejections, a.Rejections), cmp.Compare(a.TenantID, b.TenantID), cmp.Compare(a.EnvelopeID, b.EnvelopeID))
	})

	targeted := slices.DeleteFunc(rejected, func(rec audit.Record) bool { return rec.TargetSubsystem == "" || rec.TargetParameter == "" })
	for of, recs := range grouped(targeted, func(rec audit.Record) [3]string {
		return [3]string{rec.TenantID, rec.TargetSubsystem, rec.TargetParameter}
	}) {
		if len(recs) < q.MinRejections {
			continue
		}
		classes := map[audit.EnvelopeClass]int64{}
		for _, rec := range recs {
			if rec.CounterpartClass != "" {
				classes[rec.CounterpartClass]++
			}
		}
		byParameter = append(byParameter, audit.RepeatedParameterRejection{
			TenantID: of[0], TargetSubsystem: of[1], TargetParameter: of[2], Rejections: int64(len(recs)), CounterpartClasses: classes,
			FirstSeen: recs[0].DecisionTimestamp, LastSeen: recs[len(recs)-1].DecisionTimestamp,
			Evidence: evidence(recs, q.MaxEvidence), TopReasonCode: topCode(recs),
		})
	}
	slices.SortFunc(byParameter, func(a, b audit.RepeatedParameterRejection) int {
		return cmp.Or(cmp.Compare(b.Rejections, a.Rejections), cmp.Compare(a.TenantID, b.TenantID),
			cmp.Compare(a.TargetSubsystem, b.TargetSubsystem), cmp.Compare(a.TargetParameter, b.TargetParameter))
	})
	return byEnvelope, byParameter
}
