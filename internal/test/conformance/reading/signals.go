package reading

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
)

func breakdownAddsUp(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	filled(t, store, 200)
	for _, scope := range everyScope() {
		mustAddUp(t, store, scope)
	}
}

func mustAddUp(t *testing.T, store *coordaudit.Store, scope audit.Scope) audit.Breakdown {
	t.Helper()
	b, err := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{"other reasons": b.OtherReasons}
	for _, decisions := range b.ByClassDecision {
		for _, n := range decisions {
			sums["by class and decision"] += n
		}
	}
	for _, n := range b.ByTenant {
		sums["by tenant"] += n
	}
	for _, day := range b.ByDay {
		sums["by day"] += day.Total()
	}
	for _, n := range b.ByReason {
		sums["by reason"] += n
	}
	for name, sum := range sums {
		if want := b.Total; sum != want && name != "other reasons" || name == "other reasons" && sum != 0 {
			t.Errorf("%s: %s: %d, total %d", scope, name, sum, want)
		}
	}
	return b
}

func cycleNeedsReturn(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		applies("a"), preempts("a", "x"), rejects("a", "x"), applies("a"), // a cycle, with a rejection in it
		preempts("a", "y"), applies("a"), // another
		preempts("a", "x"), preempts("a", "x"), applies("a"), // only the second of these returns
		preempts("a", "z"),                             // does not return
		applies("b"), preempts("b", "x"), applies("b"), // one alone is not enough
		ofTenant("acme", preempts("a", "x")), ofTenant("acme", applies("a")), // nor is one of another tenant
	)
	found := mustFind(t, store, audit.SignalQuery{})
	want := []audit.Oscillation{{
		EnvelopeID: "a", Cycles: 3, PreemptingEnvelopes: map[string]int64{"x": 2, "y": 1},
		FirstPreempted: at(1), LastReapplied: at(8),
		Evidence: audit.Evidence{AuditIDs: ids(recs, 8, 7, 5, 4, 3, 1), Records: 6},
	}}
	if diff := cmp.Diff(want, found.Oscillations); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The preemption is just inside the window, and its return outside.
	found = mustFind(t, store, audit.SignalQuery{Window: audit.Window{Until: at(8)}})
	if len(found.Oscillations) != 1 || found.Oscillations[0].Cycles != 2 {
		t.Errorf("until the last return: %+v, want 2 cycles", found.Oscillations)
	}
}

func rejectionsCountPerTenant(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		over("p", "", rejects("a", "x")), over("p", audit.Safety, rejects("a", "x")), rejects("a", ""), applies("a"),
		over("p", audit.Safety, rejects("b", "x")), over("q", audit.Safety, rejects("b", "x")),
		ofTenant("acme", over("p", audit.Safety, rejects("a", "x"))), ofTenant("acme", rejects("a", "x")),
	)
	found := mustFind(t, store, audit.SignalQuery{})
	want := audit.Signals{
		RepeatedRejections: []audit.RepeatedRejection{
			{EnvelopeID: "a", Rejections: 3, FirstSeen: at(0), LastSeen: at(2), Evidence: audit.Evidence{AuditIDs: ids(recs, 2, 1, 0), Records: 3}},
		},
		RepeatedParameterRejections: []audit.RepeatedParameterRejection{{
			TargetSubsystem: "retry", TargetParameter: "p", Rejections: 3, CounterpartClasses: map[audit.EnvelopeClass]int64{audit.Safety: 2},
			FirstSeen: at(0), LastSeen: at(4), Evidence: audit.Evidence{AuditIDs: ids(recs, 4, 1, 0), Records: 3},
		}},
	}
	if diff := cmp.Diff(want, found, cmpopts.IgnoreFields(audit.Signals{}, "RejectionRates", "Friction", "SelfConflicts")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A cycle lies in one tenant and in the window. Who only loses, or only wins, is in none.
func cyclesNameTheirPreemptions(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		preempts("a", "b"), preempts("b", "a"), preempts("b", "a"), // 0 to 2
		preempts("b", "c"), preempts("c", "a"), preempts("a", "b"), // 3 to 5: a, b, c
		preempts("c", "c"), preempts("a", "winner"), preempts("loser", "a"), rejects("b", "a"),
		ofTenant("acme", preempts("x", "y")), preempts("y", "x"), // of two tenants
		preempts("a", "b"), // 12: outside the window
	)
	step := func(id string, indexes ...int) audit.PreemptionStep {
		return audit.PreemptionStep{
			EnvelopeID: id, Preemptions: int64(len(indexes)), FirstSeen: at(indexes[len(indexes)-1]), LastSeen: at(indexes[0]),
			Evidence: audit.Evidence{AuditIDs: ids(recs, indexes...), Records: int64(len(indexes))},
		}
	}
	want := audit.PreemptionCycles{Total: 2, Heaviest: []audit.PreemptionCycle{
		{Turns: 2, Steps: []audit.PreemptionStep{step("a", 5, 0), step("b", 2, 1)}},
		{Turns: 1, Steps: []audit.PreemptionStep{step("a", 5, 0), step("b", 3), step("c", 4)}},
	}}
	found := mustFind(t, store, audit.SignalQuery{Window: audit.Window{Until: at(12)}})
	if diff := cmp.Diff(want, found.PreemptionCycles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found := mustFind(t, store, audit.SignalQuery{Scope: audit.Tenant("acme")}); found.PreemptionCycles.Total != 0 {
		t.Errorf("of one tenant: %+v", found.PreemptionCycles)
	}
}

func thresholdsAndCapsApply(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		ofClass(audit.Safety, applies("s")), ofClass(audit.Safety, applies("s")), // two records are no rate
		rejects("a", "s"), rejects("a", "s"), applies("a"), applies("b"),
	)
	found := mustFind(t, store, audit.SignalQuery{})
	want := []audit.RejectionRate{{
		EnvelopeClass: audit.Cost, Rejected: 2, Total: 4, FirstSeen: at(2), LastSeen: at(5),
		Evidence: audit.Evidence{AuditIDs: ids(recs, 3, 2), Records: 2},
	}}
	if diff := cmp.Diff(want, found.RejectionRates); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rate := found.RejectionRates[0].Rate(); rate != 0.5 {
		t.Errorf("Rate() = %v, want 0.5", rate)
	}
	if len(found.Friction)+len(found.RepeatedRejections) != 0 {
		t.Errorf("two conflicts and two rejections are below the thresholds: %+v", found)
	}
	low := mustFind(t, store, audit.SignalQuery{MinRecords: 2, MinConflicts: 2, MinRejections: 2, MaxEvidence: 1})
	if len(low.RejectionRates) != 2 || len(low.Friction) != 1 || len(low.RepeatedRejections) != 1 {
		t.Fatalf("with thresholds of 2: %+v", low)
	}
	for _, evidence := range []audit.Evidence{low.RejectionRates[0].Evidence, low.Friction[0].Evidence, low.RepeatedRejections[0].Evidence} {
		if diff := cmp.Diff(audit.Evidence{AuditIDs: ids(recs, 3), Records: 2}, evidence); diff != "" {
			t.Errorf("capped to one (-want +got):\n%s", diff)
		}
	}
}

// Row L3: the predecessor counted a record on the bound of two windows twice.
func trendWindowsAreDisjoint(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	story(t, store, applies("a"), applies("a"), rejects("a", "b"), applies("a"), rejects("a", "b"), rejects("a", "b"))
	trend, err := store.Trend(t.Context(), audit.TrendQuery{
		Scope: audit.AllTenants(), Window: audit.Window{Since: at(4), Until: at(6)}, Windows: 3, MinRecords: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	type rate struct{ rejected, total int64 }
	var got []rate
	for i, window := range trend {
		if want := (audit.Window{Since: at(2 * i), Until: at(2*i + 2)}); window.Window != want {
			t.Errorf("window %d is %v, want %v", i, window.Window, want)
		}
		for _, r := range window.RejectionRates {
			got = append(got, rate{r.Rejected, r.Total})
		}
	}
	if diff := cmp.Diff([]rate{{0, 2}, {1, 2}, {2, 2}}, got, cmp.AllowUnexported(rate{})); diff != "" {
		t.Errorf("rejected of all (-want +got):\n%s", diff)
	}
}
