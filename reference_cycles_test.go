package coordaudit_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A trail whose envelopes preempt each other at random, in all tenants, has many cycles. The file of
// real decisions may have none.
func TestAnalysisOfCyclesEqualsReference(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 0))
	recs := make([]audit.Record, 900)
	for i := range recs {
		rec := audit.Record{
			AuditID: uuid.New(), EnvelopeClass: audit.Cost, Reason: "made up", TenantID: []string{"", "acme", "emu"}[random.IntN(3)],
			EnvelopeID: fmt.Sprintf("envelope-%02d", random.IntN(14)), DecisionTimestamp: january(20).Add(time.Duration(i) * 17 * time.Minute),
		}
		switch random.IntN(8) {
		case 0:
			rec.Decision = audit.Applied
		case 1:
			rec.Decision, rec.ConflictingEnvelopeID = audit.Rejected, "envelope-01"
		default: // also by itself
			rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, fmt.Sprintf("envelope-%02d", random.IntN(14))
		}
		recs[i] = rec
	}
	if all := preemptionCycles(recs, audit.SignalQuery{MaxEvidence: 1}); all.Total <= audit.MaxPreemptionCycles {
		t.Fatalf("%d cycles, and a test of the heaviest ones needs more", all.Total)
	}
	comparePlainly(t, recs)
}

type preemption struct{ tenant, envelope, preemptor string }

// preemptionCycles tries every path of at most five envelopes from each one that no other of the path
// precedes in byte order.
func preemptionCycles(selected []audit.Record, q audit.SignalQuery) audit.PreemptionCycles {
	preempted := slices.DeleteFunc(ofDecision(selected, audit.Preempted), func(rec audit.Record) bool { return rec.PreemptingEnvelopeID == rec.EnvelopeID })
	byEdge := grouped(preempted, func(rec audit.Record) preemption {
		return preemption{rec.TenantID, rec.EnvelopeID, rec.PreemptingEnvelopeID}
	})
	preemptors := map[tenantsEnvelope][]string{}
	for edge := range byEdge {
		of := tenantsEnvelope{edge.tenant, edge.envelope}
		preemptors[of] = append(preemptors[of], edge.preemptor)
	}
	var all []audit.PreemptionCycle
	var walk func(tenant string, path []string)
	walk = func(tenant string, path []string) {
		for _, next := range preemptors[tenantsEnvelope{tenant, path[len(path)-1]}] {
			switch {
			case next == path[0]:
				all = append(all, cycleOf(byEdge, tenant, path, q.MaxEvidence))
			case len(path) < 5 && next > path[0] && !slices.Contains(path, next):
				walk(tenant, append(slices.Clone(path), next))
			}
		}
	}
	for first := range preemptors {
		walk(first.tenant, []string{first.envelope})
	}
	ids := func(c audit.PreemptionCycle) (ids []string) {
		for _, step := range c.Steps {
			ids = append(ids, step.EnvelopeID)
		}
		return ids
	}
	slices.SortFunc(all, func(a, b audit.PreemptionCycle) int {
		return cmp.Or(cmp.Compare(b.Turns, a.Turns), cmp.Compare(len(a.Steps), len(b.Steps)), cmp.Compare(a.TenantID, b.TenantID), slices.Compare(ids(a), ids(b)))
	})
	return audit.PreemptionCycles{Heaviest: all[:min(len(all), 100)], Total: int64(len(all))}
}

func cycleOf(byEdge map[preemption][]audit.Record, tenant string, path []string, maxEvidence int) audit.PreemptionCycle {
	cycle := audit.PreemptionCycle{TenantID: tenant}
	for i, id := range path {
		recs := byEdge[preemption{tenant, id, path[(i+1)%len(path)]}]
		n := int64(len(recs))
		if i == 0 || n < cycle.Turns {
			cycle.Turns = n
		}
		cycle.Steps = append(cycle.Steps, audit.PreemptionStep{
			EnvelopeID: id, Preemptions: n, FirstSeen: recs[0].DecisionTimestamp, LastSeen: recs[n-1].DecisionTimestamp, Evidence: evidence(recs, maxEvidence),
		})
	}
	return cycle
}
