package coordaudit_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestExplainEqualsReference(t *testing.T) {
	t.Parallel()
	explainPlainly(t, slices.Collect(seed.Records(seed.Config{Records: 6_000, Seed: 8})))
}

// The coordinator of the real decisions wrote a PREEMPTED record just before the APPLIED one of
// the preemptor, whose reason counts the preempted envelopes. So what the rule finds can be checked
// by another text than the ids and times that it goes by.
func TestExplainOfRealDecisions(t *testing.T) {
	t.Parallel()
	path := os.Getenv(decisionsVariable)
	if path == "" {
		t.Skipf("no real decisions: name a file of them in %s", decisionsVariable)
	}
	for _, e := range explainPlainly(t, readDecisions(t, path)) {
		by := e.Counterpart.Record
		switch {
		case e.Record.Decision == audit.Preempted && (by == nil || by.Decision != audit.Applied ||
			!strings.Contains(by.Reason, "preempted") || strings.Contains(by.Reason, "preempted 0")):
			t.Errorf("%s was preempted, and by %+v", e.Record.AuditID, by)
		case e.Cause == audit.CauseHeld && (by == nil || by.Decision != audit.Applied):
			t.Errorf("%s was rejected, and the holder is %+v", e.Record.AuditID, by)
		}
	}
}

// explainPlainly stores the records, and compares the explanation of each PREEMPTED and REJECTED one
// with a plain computation, for its tenant and for all tenants.
func explainPlainly(t *testing.T, recs []audit.Record) (explained []audit.Explanation) {
	t.Helper()
	store := coordaudit.New(testdb.New(t).Pool, patientConfig())
	for batch := range slices.Chunk(recs, 5000) {
		if _, err := store.PersistMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	for i := range recs {
		recs[i].Seq = int64(i) // the order of insertion
	}
	plain := newReference(recs)
	displaced := map[uuid.UUID][]uuid.UUID{}
	envelopes := grouped(plain.recs, envelopeOf)
	for _, rec := range plain.recs {
		if rec.Decision == audit.Applied {
			continue
		}
		want := plain.explain(envelopes, rec)
		scope := audit.AllTenants()
		if len(explained)%2 == 0 {
			scope = tenantOf(rec)
		}
		e, err := store.Explain(t.Context(), scope, rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, factsOf(e)); diff != "" {
			t.Fatalf("%+v (-plain +got):\n%s", rec, diff)
		}
		if rec.Decision == audit.Preempted && e.Counterpart.Record != nil {
			displaced[want.Found] = append(displaced[want.Found], rec.AuditID)
		}
		explained = append(explained, e)
	}
	if len(displaced) == 0 {
		t.Fatal("no preemptor was found")
	}
	for id, want := range displaced { // the other way round
		e, err := store.Explain(t.Context(), audit.AllTenants(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, idsOf(e.Displaced.Records)); diff != "" || e.Cause != audit.CauseOutranks {
			t.Fatalf("%s: %s, displaced (-plain +got):\n%s", id, e.Cause, diff)
		}
	}
	return explained
}

func tenantOf(rec audit.Record) audit.Scope {
	if rec.TenantID == "" {
		return audit.NoTenant()
	}
	return audit.Tenant(rec.TenantID)
}

func idsOf(recs []audit.Record) (ids []uuid.UUID) {
	for _, rec := range recs {
		ids = append(ids, rec.AuditID)
	}
	return ids
}

// facts is what an explanation concludes, by ids.
type facts struct {
	Cause     audit.Cause
	Other     string
	Class     audit.EnvelopeClass
	Found     uuid.UUID
	FoundBy   audit.FoundBy
	Causes    []uuid.UUID
	CausesEnd audit.CausesEnd
	Next      uuid.UUID
	Meetings  audit.Meetings
}

func factsOf(e audit.Explanation) facts {
	f := facts{
		Cause: e.Cause, Other: e.Counterpart.EnvelopeID, Class: e.Counterpart.EnvelopeClass, FoundBy: e.Counterpart.FoundBy,
		Causes: idsOf(e.Causes), CausesEnd: e.CausesEnd, Meetings: e.Meetings,
	}
	if e.Counterpart.Record != nil {
		f.Found = e.Counterpart.Record.AuditID
	}
	if e.Next != nil {
		f.Next = e.Next.AuditID
	}
	return f
}

// explain computes the facts about a PREEMPTED or REJECTED record from all records in memory.
func (r reference) explain(envelopes map[tenantsEnvelope][]audit.Record, rec audit.Record) facts {
	f := facts{Cause: audit.CauseStated, Other: cmp.Or(rec.PreemptingEnvelopeID, rec.ConflictingEnvelopeID), Class: rec.CounterpartClass, CausesEnd: audit.CausesNone}
	other := envelopes[tenantsEnvelope{rec.TenantID, f.Other}]
	own := envelopes[envelopeOf(rec)]
	switch {
	case f.Other == "":
	case f.Other == rec.EnvelopeID:
		f.Cause = audit.CauseItself
	case rec.Decision == audit.Preempted:
		f.Cause = audit.CausePreempted
	default:
		f.Cause = audit.CauseHeld
	}
	for id := rec.Links.CausedBy; id != uuid.Nil; {
		at := slices.IndexFunc(r.recs, func(other audit.Record) bool { return other.AuditID == id })
		if at < 0 {
			f.CausesEnd = audit.CausesAbsent
			break
		}
		f.Causes = append(f.Causes, id)
		id = r.recs[at].Links.CausedBy
		if len(f.Causes) == 1 && r.recs[at].EnvelopeID == f.Other && r.recs[at].TenantID == rec.TenantID {
			f.Found, f.FoundBy, f.Class = r.recs[at].AuditID, audit.FoundByLink, cmp.Or(f.Class, r.recs[at].EnvelopeClass)
		}
	}
	if found := byRule(rec, other); f.Found == uuid.Nil && found != nil {
		f.Found, f.FoundBy, f.Class = found.AuditID, audit.FoundByRule, cmp.Or(f.Class, found.EnvelopeClass)
	}
	for _, later := range after(rec, own) {
		if later.Decision != audit.Rejected {
			f.Next = later.AuditID
			break
		}
	}
	if f.Other != rec.EnvelopeID {
		f.Meetings.Preempted, f.Meetings.Rejected = lostTo(rec, own, f.Other)
		f.Meetings.PreemptedOther, f.Meetings.RejectedOther = lostTo(rec, other, rec.EnvelopeID)
	}
	return f
}

// after returns the records of an envelope that come after a record, which may be of another one.
// No two records of a test have the same time and seq.
func after(rec audit.Record, of []audit.Record) []audit.Record {
	return slices.DeleteFunc(slices.Clone(of), func(other audit.Record) bool { return !comesBefore(rec, other) })
}

// byRule finds the decision of the other envelope by times alone.
func byRule(rec audit.Record, other []audit.Record) (found *audit.Record) {
	for i := range other {
		candidate := &other[i]
		later := comesBefore(rec, *candidate)
		if rec.Decision == audit.Rejected {
			if !later && candidate.AuditID != rec.AuditID && candidate.Decision != audit.Rejected {
				found = candidate
			}
			continue
		}
		away := candidate.DecisionTimestamp.Sub(rec.DecisionTimestamp).Abs()
		if candidate.Decision != audit.Applied || away > time.Minute {
			continue
		}
		nearer := found == nil || away < found.DecisionTimestamp.Sub(rec.DecisionTimestamp).Abs()
		asNear := found != nil && away == found.DecisionTimestamp.Sub(rec.DecisionTimestamp).Abs()
		if nearer || asNear && (!later || !comesBefore(rec, *found)) {
			found = candidate
		}
	}
	return found
}

// comesBefore expects that Seq has the place of each record in the trail.
func comesBefore(a, b audit.Record) bool {
	return cmp.Or(a.DecisionTimestamp.Compare(b.DecisionTimestamp), cmp.Compare(a.Seq, b.Seq)) < 0
}

func lostTo(rec audit.Record, of []audit.Record, winner string) (preempted, rejected int64) {
	if winner == "" {
		return 0, 0
	}
	for _, other := range of {
		switch {
		case other.DecisionTimestamp.Sub(rec.DecisionTimestamp).Abs() > 7*24*time.Hour:
		case other.Decision == audit.Preempted && other.PreemptingEnvelopeID == winner:
			preempted++
		case other.Decision == audit.Rejected && other.ConflictingEnvelopeID == winner:
			rejected++
		}
	}
	return preempted, rejected
}

// An envelope that is applied again and again takes a place each time. Those of its other decisions
// within the reach of the rule, by rule or by link, are not of the one that is explained.
func TestExplainOfABusyPreemptor(t *testing.T) {
	t.Parallel()
	store := coordaudit.New(testdb.New(t).Pool, patientConfig())
	for name, isLinked := range map[string]bool{"rule": false, "link": true} {
		const times = 40
		var recs []audit.Record
		for i := range times {
			at := january(5).Add(time.Duration(i) * 2 * time.Second)
			lost, taken := fixture.NewRecord(), fixture.NewRecord()
			lost.EnvelopeID, lost.Decision, lost.PreemptingEnvelopeID, lost.DecisionTimestamp = fmt.Sprint(name, " saver ", i), audit.Preempted, name, at
			taken.EnvelopeID, taken.DecisionTimestamp = name, at.Add(time.Millisecond)
			if isLinked {
				lost.Links.CausedBy = taken.AuditID
			}
			recs = append(recs, lost, taken)
		}
		if _, err := store.PersistMany(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		for i := range times {
			e, err := store.Explain(t.Context(), audit.AllTenants(), recs[2*i+1].AuditID)
			if err != nil {
				t.Fatal(err)
			}
			if got := idsOf(e.Displaced.Records); e.Cause != audit.CauseOutranks || e.Displaced.More || !slices.Equal(got, []uuid.UUID{recs[2*i].AuditID}) {
				t.Errorf("by %s, decision %d: %s, more %t, displaced %v, want %s alone", name, i, e.Cause, e.Displaced.More, got, recs[2*i].AuditID)
			}
		}
	}
}
