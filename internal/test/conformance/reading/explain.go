package reading

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func mustExplain(t *testing.T, store *coordaudit.Store, scope audit.Scope, id uuid.UUID) audit.Explanation {
	t.Helper()
	e, err := store.Explain(t.Context(), scope, id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// causedBy links a record to another one.
func causedBy(id uuid.UUID, rec audit.Record) audit.Record {
	rec.Links.CausedBy = id
	return rec
}

// stored persists one record, whose time is as many seconds after the story's begin.
func stored(t *testing.T, store *coordaudit.Store, second int, rec audit.Record) audit.Record {
	t.Helper()
	return storyAt(t, store, func(int) time.Time { return at(second) }, rec)[0]
}

// Evidence of another tenant is absent, by link as by rule. Of a record outside the scope nothing
// is said, not even that it exists.
func explainSeesItsScope(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	foreign := stored(t, store, 1, ofTenant("emu", applies("guard")))
	correction := ofTenant("emu", applies("saver"))
	lost := stored(t, store, 2, ofTenant("acme", causedBy(foreign.AuditID, preempts("saver", "guard"))))
	correction.Links.Corrects = lost.AuditID
	stored(t, store, 3, correction)
	stored(t, store, 4, ofTenant("emu", applies("saver")))

	e := mustExplain(t, store, audit.Tenant("acme"), lost.AuditID)
	lost.Seq, lost.CreatedAt = e.Record.Seq, e.Record.CreatedAt
	want := audit.Explanation{
		Record: lost, Cause: audit.CausePreempted, Counterpart: audit.Counterpart{EnvelopeID: "guard"}, CausesEnd: audit.CausesAbsent,
		Meetings: audit.Meetings{Preempted: 1}, NextStep: audit.StepTimeline,
	}
	if diff := cmp.Diff(want, e, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Who sees all tenants follows the links, and is shown no record of another tenant by rule.
	e = mustExplain(t, store, audit.AllTenants(), lost.AuditID)
	if len(e.Causes) != 1 || e.Causes[0].AuditID != foreign.AuditID || len(e.Corrections.Records) != 1 || e.Counterpart.Record != nil || e.Next != nil {
		t.Errorf("for all tenants: %+v", e)
	}
	for scope, id := range map[audit.Scope]uuid.UUID{
		audit.Tenant("emu"): lost.AuditID, audit.NoTenant(): lost.AuditID, audit.AllTenants(): uuid.New(),
	} {
		if _, err := store.Explain(t.Context(), scope, id); !errors.Is(err, audit.ErrNotFound) || strings.Contains(err.Error(), "acme") {
			t.Errorf("%s: %v, want ErrNotFound", scope, err)
		}
	}
}

func explainFindsCounterpart(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		ofClass(audit.Safety, applies("guard")),     // 0: a minute and more before 100
		ofClass(audit.Safety, applies("held")),      // 1
		rejects("held", "x"),                        // 2: the holder's latest record, not its latest move
		rejects("late", "held"),                     // 3
		preempts("held", "guard"),                   // 4: guard's APPLIED at 0 is 4 s away, at 9 it is 5 s away
		rejects("late", "held"),                     // 5: held nothing any more
		rejects("late", "unknown"),                  // 6
		rejects("late", "late"),                     // 7
		rejects("late", ""),                         // 8
		ofClass(audit.Safety, applies("guard")),     // 9
		preempts("saver", "absent"),                 // 10
		ofTenant("acme", preempts("x", "guard")),    // 11: another tenant's guard is no evidence
		over("p", audit.Cost, rejects("a", "held")), // 12: the class is the stated one
	)
	linked := stored(t, store, 14, causedBy(recs[0].AuditID, preempts("saver", "guard")))
	misled := stored(t, store, 14, causedBy(recs[1].AuditID, preempts("saver", "guard"))) // the cause is no decision of guard
	far := stored(t, store, 9+61, preempts("saver", "guard"))
	equal := stored(t, store, 9, preempts("saver", "guard"))
	for name, test := range map[string]struct {
		rec   audit.Record
		cause audit.Cause
		class audit.EnvelopeClass
		found uuid.UUID
		by    audit.FoundBy
	}{
		"a holder":                        {recs[3], audit.CauseHeld, audit.Safety, recs[1].AuditID, audit.FoundByRule},
		"the nearer APPLIED, before":      {recs[4], audit.CausePreempted, audit.Safety, recs[0].AuditID, audit.FoundByRule},
		"a holder that holds nothing":     {recs[5], audit.CauseHeld, audit.Cost, recs[4].AuditID, audit.FoundByRule},
		"a holder without records":        {recs[6], audit.CauseHeld, "", uuid.Nil, ""},
		"itself":                          {recs[7], audit.CauseItself, "", uuid.Nil, ""},
		"no other":                        {recs[8], audit.CauseStated, "", uuid.Nil, ""},
		"a preemptor without records":     {recs[10], audit.CausePreempted, "", uuid.Nil, ""},
		"a preemptor of another tenant":   {recs[11], audit.CausePreempted, "", uuid.Nil, ""},
		"a stated class":                  {recs[12], audit.CauseHeld, audit.Cost, recs[4].AuditID, audit.FoundByRule},
		"a link":                          {linked, audit.CausePreempted, audit.Safety, recs[0].AuditID, audit.FoundByLink},
		"a link to another envelope":      {misled, audit.CausePreempted, audit.Safety, recs[9].AuditID, audit.FoundByRule},
		"a preemptor's decision far away": {far, audit.CausePreempted, "", uuid.Nil, ""},
		"of the same time":                {equal, audit.CausePreempted, audit.Safety, recs[9].AuditID, audit.FoundByRule},
	} {
		e := mustExplain(t, store, audit.AllTenants(), test.rec.AuditID)
		var found uuid.UUID
		if e.Counterpart.Record != nil {
			found = e.Counterpart.Record.AuditID
		}
		if e.Cause != test.cause || e.Counterpart.EnvelopeClass != test.class || found != test.found || e.Counterpart.FoundBy != test.by {
			t.Errorf("%s: %s %+v, want %+v", name, e.Cause, e.Counterpart, test)
		}
	}
	// An APPLIED record shows whose place it took, by the same link and rule.
	for applied, want := range map[int][]uuid.UUID{0: {recs[4].AuditID, linked.AuditID}, 9: {equal.AuditID, misled.AuditID}, 1: nil} {
		e := mustExplain(t, store, audit.AllTenants(), recs[applied].AuditID)
		var got []uuid.UUID
		for _, rec := range e.Displaced.Records {
			got = append(got, rec.AuditID)
		}
		cause := audit.CauseOutranks
		if want == nil {
			cause = audit.CauseFree
		}
		if diff := cmp.Diff(want, got); diff != "" || e.Displaced.More || e.Cause != cause {
			t.Errorf("record %d: %s, displaced (-want +got):\n%s", applied, e.Cause, diff)
		}
	}
}

// Links may lead back, or to one that comes later or never. A chain of any length ends.
func explainFollowsCauses(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	id := func(n byte) uuid.UUID { return uuid.UUID{0xc0, 15: n} }
	add := func(n, cause byte) {
		rec := causedBy(id(cause), fixture.NewRecord())
		rec.AuditID = id(n)
		if cause == 0 {
			rec.Links.CausedBy = uuid.Nil
		}
		fixture.MustPersist(t, store, rec)
	}
	add(2, 3)                        // a loop of two,
	add(3, 2)                        //
	add(4, 3)                        // and into it
	add(5, 99)                       // absent
	add(10, 0)                       // the end of a chain
	for n := byte(11); n < 23; n++ { // of twelve
		add(n, n-1)
	}
	for n, want := range map[byte]struct {
		causes int
		end    audit.CausesEnd
	}{
		2: {1, audit.CausesLoop}, 4: {2, audit.CausesLoop}, 5: {0, audit.CausesAbsent},
		10: {0, audit.CausesNone}, 18: {8, audit.CausesNone}, 22: {audit.MaxCauses, audit.CausesMore},
	} {
		e := mustExplain(t, store, audit.Tenant("acme"), id(n))
		if len(e.Causes) != want.causes || e.CausesEnd != want.end {
			t.Errorf("record %d: %d causes, %s, want %+v", n, len(e.Causes), e.CausesEnd, want)
		}
	}
}

func explainTellsWhatCameAfter(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		applies("saver"), preempts("saver", "guard"), applies("guard"), // 0 to 2
		rejects("saver", "guard"), rejects("saver", "other"), applies("saver"), // 3 to 5
		preempts("guard", "saver"), rejects("guard", "saver"), // 6, 7
		ofTenant("acme", preempts("saver", "guard")), ofTenant("acme", applies("saver")),
	)
	correction := applies("saver")
	correction.Links.Corrects = recs[1].AuditID
	recs = append(recs, stored(t, store, 20, correction)) // 10
	e := mustExplain(t, store, audit.AllTenants(), recs[1].AuditID)
	if e.Next == nil || e.Next.AuditID != recs[5].AuditID {
		t.Errorf("next: %+v, want record 5", e.Next)
	}
	if diff := cmp.Diff(audit.Meetings{Preempted: 1, Rejected: 1, PreemptedOther: 1, RejectedOther: 1}, e.Meetings); diff != "" {
		t.Errorf("meetings (-want +got):\n%s", diff)
	}
	if len(e.Corrections.Records) != 1 || e.Corrections.Records[0].AuditID != recs[10].AuditID || e.NextStep != audit.StepCorrection {
		t.Errorf("corrections: %+v, %s", e.Corrections, e.NextStep)
	}
	if e = mustExplain(t, store, audit.AllTenants(), recs[10].AuditID); e.Corrected == nil || e.Corrected.AuditID != recs[1].AuditID || e.Next != nil {
		t.Errorf("the correction: %+v", e)
	}
	for index, want := range map[int]audit.NextStep{3: audit.StepPair, 4: audit.StepTimeline, 0: audit.StepTimeline} {
		if e := mustExplain(t, store, audit.AllTenants(), recs[index].AuditID); e.NextStep != want {
			t.Errorf("after record %d: %s, want %s", index, e.NextStep, want)
		}
	}

	// More records of one envelope than are looked through.
	many := make([]audit.Record, audit.MaxExplained+2)
	for i := range many {
		many[i] = ofTenant("busy", rejects("saver", "guard"))
	}
	many[len(many)-1] = ofTenant("busy", applies("saver"))
	many = storyAt(t, store, func(i int) time.Time { return at(0).Add(time.Duration(i) * time.Millisecond) }, many...)
	e = mustExplain(t, store, audit.AllTenants(), many[0].AuditID)
	if e.Next != nil || !e.Meetings.AtLeast || e.Meetings.Rejected != audit.MaxExplained {
		t.Errorf("of too many records: next %v, %+v", e.Next, e.Meetings)
	}
	if e = mustExplain(t, store, audit.AllTenants(), many[1].AuditID); e.Next == nil {
		t.Error("the last record that is looked through is not found")
	}
}

func explainShowsLosses(t *testing.T, db frame.Database) {
	store, driver := frame.NewStore(db), auditdriver.New(db.Pool)
	statement := frame.NewStatement() // 1 is dropped, 2 and 3 wait
	statement.AcceptedThrough, statement.ReservedThrough = 12, 20
	if err := driver.PersistStatement(t.Context(), &statement); err != nil {
		t.Fatal(err)
	}
	var last audit.Record
	for _, ordinal := range []int64{4, 5, 8, 9} {
		last = fixture.NewRecord()
		last.Origin.SourceID, last.Origin.SourceSeq = statement.SourceID, ordinal
		fixture.MustPersist(t, store, last)
	}
	gap := frame.NewGap(last.DecisionTimestamp.Add(30*time.Minute), last.DecisionTimestamp.Add(40*time.Minute))
	frame.MustPersistGap(t, db, gap)
	frame.MustPersistGap(t, db, frame.NewGap(last.DecisionTimestamp.Add(2*time.Hour), last.DecisionTimestamp.Add(3*time.Hour)))

	want := audit.NearbyLosses{
		Gaps:     []audit.NearbyGap{{GapID: gap.GapID, From: gap.From, Until: gap.Until, Records: gap.Total(), Cause: gap.Cause}},
		Ordinals: []int64{6, 7, 10, 11, 12},
	}
	e := mustExplain(t, store, audit.Tenant("acme"), last.AuditID)
	if diff := cmp.Diff(want, e.Losses); diff != "" || e.NextStep != audit.StepLosses {
		t.Errorf("next %s, losses (-want +got):\n%s", e.NextStep, diff)
	}
	// A statement explains some of them. A row that is stored far away is not near.
	statement.Number, statement.Kind, statement.Dropped = 2, completeness.Periodic, completeness.SetOf(6)
	statement.Waiting, statement.Rejected = completeness.SetOf(7), completeness.SetOf(10)
	if err := driver.PersistStatement(t.Context(), &statement); err != nil {
		t.Fatal(err)
	}
	if e = mustExplain(t, store, audit.Tenant("acme"), last.AuditID); !cmp.Equal(e.Losses.Ordinals, []int64{11, 12}) {
		t.Errorf("ordinals %v, want 11 and 12", e.Losses.Ordinals)
	}

	pool, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records")
	e = mustExplain(t, coordaudit.New(pool, fixture.Quiet()), audit.Tenant("acme"), last.AuditID)
	if diff := cmp.Diff(audit.NearbyLosses{GapsUnread: true, OrdinalsUnread: true}, e.Losses); diff != "" {
		t.Errorf("without the right to read them (-want +got):\n%s", diff)
	}
}

// A record that is stored between two calls in one moment explains nothing there.
func explainIsOfOneMoment(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	lost := stored(t, store, 1, preempts("saver", "guard"))
	err := store.AtOneMoment(t.Context(), func(moment *coordaudit.Store) error {
		before := mustExplain(t, moment, audit.NoTenant(), lost.AuditID)
		stored(t, store, 2, applies("guard"))
		after := mustExplain(t, moment, audit.NoTenant(), lost.AuditID)
		if diff := cmp.Diff(before, after); diff != "" || after.Counterpart.Record != nil {
			t.Errorf("(-before +after):\n%s", diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := mustExplain(t, store, audit.NoTenant(), lost.AuditID); e.Counterpart.Record == nil {
		t.Error("a later call does not find the preemptor's decision")
	}
}
