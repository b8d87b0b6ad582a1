package console

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A watcher sees the records that a listing with the same filters shows.
func TestMatchesAsAListing(t *testing.T) {
	t.Parallel()
	store := coordaudit.New(testdb.New(t).Pool, fixture.Quiet())
	full, plain, none := fixture.NewFullRecord(), fixture.NewRecord(), fixture.NewRecord()
	none.TenantID = ""
	preempted := fixture.NewRecord()
	preempted.TenantID, preempted.Decision, preempted.PreemptingEnvelopeID, preempted.EnvelopeID = "rival", audit.Preempted, "preemptor", "e%_"
	recs := []audit.Record{full, plain, none, preempted}
	if _, err := store.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	all := audit.AllTenants()
	for name, q := range map[string]audit.Query{
		"All": {Scope: all}, "Tenant": {Scope: audit.Tenant("acme")}, "NoTenant": {Scope: audit.NoTenant()}, "Nobody": {Scope: audit.Tenant("nobody")},
		"Envelopes": {Scope: all, EnvelopeIDs: []string{preempted.EnvelopeID, "x"}}, "Class": {Scope: all, EnvelopeClasses: []audit.EnvelopeClass{full.EnvelopeClass}},
		"OtherClass": {Scope: all, EnvelopeClasses: []audit.EnvelopeClass{audit.Safety}}, "Decision": {Scope: all, Decisions: []audit.Decision{audit.Preempted, audit.Rejected}},
		"Conflicting": {Scope: all, ConflictingEnvelopeID: full.ConflictingEnvelopeID}, "Preempting": {Scope: all, PreemptingEnvelopeID: "preemptor"},
		"Subsystem": {Scope: all, TargetSubsystem: full.TargetSubsystem}, "Parameter": {Scope: all, TargetParameter: full.TargetParameter},
		"Reason": {Scope: all, ReasonContains: "no other"}, "ReasonOfNone": {Scope: all, ReasonContains: "No Other"}, "Code": {Scope: all, ReasonCode: full.ReasonCode},
		"Policy": {Scope: all, PolicyVersion: full.PolicyVersion}, "Actor": {Scope: all, Actor: full.Actor}, "CausedBy": {Scope: all, CausedBy: full.Links.CausedBy},
		"Corrects": {Scope: all, Corrects: full.Links.Corrects}, "CausedByOther": {Scope: all, CausedBy: uuid.New()},
		"Action": {Scope: all, CorrelationID: full.Links.CorrelationID}, "Trace": {Scope: all, TraceID: full.Origin.TraceID}, "OtherTrace": {Scope: all, TraceID: audit.TraceID{1}},
	} {
		page, err := store.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range recs {
			listed := slices.ContainsFunc(page.Records, func(rec audit.Record) bool { return rec.AuditID == recs[i].AuditID })
			if got := matches(&q, &recs[i]); got != listed {
				t.Errorf("%s: record %d matches: %v, listed: %v", name, i, got, listed)
			}
		}
	}
	if matches(&audit.Query{}, &plain) {
		t.Error("a query without a scope sees a record")
	}
}

func TestLimiterFillsUp(t *testing.T) {
	t.Parallel()
	l, now := newLimiter(2, 3), time.Now()
	for i, want := range []bool{true, true, true, false} {
		if got, _ := l.allow("a", now); got != want {
			t.Errorf("request %d: %v", i, got)
		}
	}
	if ok, _ := l.allow("b", now); !ok {
		t.Error("another client pays for it")
	}
	if ok, wait := l.allow("a", now.Add(100*time.Millisecond)); ok || wait != 400*time.Millisecond {
		t.Errorf("%v, wait %v", ok, wait)
	}
	if ok, _ := l.allow("a", now.Add(500*time.Millisecond)); !ok {
		t.Error("the bucket does not fill up")
	}
	l.allow("c", now.Add(time.Hour))
	if len(l.buckets) != 1 {
		t.Errorf("%d clients are remembered", len(l.buckets))
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l, now := newLimiter(1, 1), time.Now()
	refused := 0
	for range maxClients + 100 {
		if ok, _ := l.allow(uuid.NewString(), now); !ok {
			refused++
		}
	}
	if len(l.buckets) > maxClients+1 || refused != 99 {
		t.Errorf("%d clients are remembered, %d requests were refused", len(l.buckets), refused)
	}
}
