package reading

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
)

func frictionNamesClasses(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		// Before the window, which begins at 3: x, and another tenant's x.
		ofClass(audit.Safety, applies("x")),
		ofClass(audit.Unknown, rejects("x", "")),
		ofTenant("acme", ofClass(audit.Performance, applies("x"))),
		// 3 to 5: SAFETY by its latest record with a class, then as the record says.
		rejects("a", "x"),
		over("p", audit.Reliability, rejects("a", "x")),
		over("p", audit.Unknown, rejects("a", "x")),
		// 6, 8, 10: y is not known yet, then RELIABILITY, then PERFORMANCE.
		preempts("a", "y"),
		ofClass(audit.Reliability, applies("y")),
		preempts("a", "y"),
		ofClass(audit.Performance, applies("y")),
		preempts("a", "y"),
		// 11: the other tenant's x. 12: no counterpart.
		ofTenant("acme", ofClass(audit.Safety, rejects("b", "x"))),
		rejects("a", ""),
	)
	found := mustFind(t, store, audit.SignalQuery{MinConflicts: 1, Window: audit.Window{Since: at(3)}})
	pair := frictionIn(recs)
	want := []audit.Friction{
		pair(audit.Cost, audit.Reliability, 1, 1, 8, 4),
		pair(audit.Cost, audit.Performance, 0, 1, 10),
		pair(audit.Cost, audit.Safety, 1, 0, 3),
		pair(audit.Cost, audit.Unknown, 1, 0, 5),
		pair(audit.Cost, audit.Unresolved, 0, 1, 6),
		pair(audit.Safety, audit.Performance, 1, 0, 11),
	}
	if diff := cmp.Diff(want, found.Friction); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// frictionIn returns a function that makes friction with the records of these indexes as evidence.
func frictionIn(recs []audit.Record) func(class, other audit.EnvelopeClass, rejected, preempted int64, indexes ...int) audit.Friction {
	return func(class, other audit.EnvelopeClass, rejected, preempted int64, indexes ...int) audit.Friction {
		return audit.Friction{
			EnvelopeClass: class, CounterpartClass: other, Conflicts: rejected + preempted, Rejected: rejected, Preempted: preempted,
			Evidence: audit.Evidence{AuditIDs: ids(recs, indexes...), Records: rejected + preempted},
		}
	}
}

// Records of the same time have an order too. A class is known from the first record that states it.
func classStartsUnknown(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := storyAt(t, store, func(int) time.Time { return at(0) },
		rejects("a", "steady"),
		rejects("a", "changing"),
		ofClass(audit.Safety, applies("steady")),
		ofClass(audit.Safety, applies("changing")),
		rejects("b", "steady"),
		rejects("b", "changing"),
		ofClass(audit.Reliability, applies("changing")),
		rejects("c", "changing"),
	)
	found := mustFind(t, store, audit.SignalQuery{MinConflicts: 1})
	pair := frictionIn(recs)
	want := []audit.Friction{
		pair(audit.Cost, audit.Safety, 2, 0, 5, 4),
		pair(audit.Cost, audit.Unresolved, 2, 0, 1, 0),
		pair(audit.Cost, audit.Reliability, 1, 0, 7),
	}
	if diff := cmp.Diff(want, found.Friction); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// If several tenants have an envelope of the same id, its class may change for one of them only.
func classIsPerTenant(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store,
		ofTenant("acme", ofClass(audit.Safety, applies("x"))),
		ofTenant("emu", ofClass(audit.Performance, applies("x"))),
		ofTenant("acme", ofClass(audit.Reliability, applies("x"))),
		ofTenant("acme", rejects("a", "x")),
		ofTenant("emu", rejects("a", "x")),
		rejects("a", "x"),
	)
	found := mustFind(t, store, audit.SignalQuery{MinConflicts: 1, Scope: audit.AllTenants()})
	pair := frictionIn(recs)
	want := []audit.Friction{
		pair(audit.Cost, audit.Performance, 1, 0, 4),
		pair(audit.Cost, audit.Reliability, 1, 0, 3),
		pair(audit.Cost, audit.Unresolved, 1, 0, 5),
	}
	if diff := cmp.Diff(want, found.Friction); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A class that was stated long before the window counts until another one is stated.
func classIsKnownAtAnyAge(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	days := []int{0, 0, 1, 39, 40, 40, 40, 40, 40, 40, 40}
	recs := storyAt(t, store, func(i int) time.Time { return at(i).AddDate(0, 0, days[i]) },
		ofClass(audit.Safety, applies("old")),           // 0
		ofClass(audit.Reliability, applies("changing")), // 1
		ofClass(audit.Performance, applies("old")),      // 2: a day later, it changes for good
		ofClass(audit.Safety, applies("recent")),        // 3: less than a day before the window
		rejects("a", "old"), rejects("a", "changing"),   // 4, 5
		ofClass(audit.Performance, applies("changing")), // 6
		rejects("a", "changing"),                        // 7
		rejects("a", "recent"),                          // 8
		ofClass(audit.Unknown, applies("never")), rejects("a", "never"),
	)
	found := mustFind(t, store, audit.SignalQuery{MinConflicts: 1, Window: audit.Window{Since: at(0).AddDate(0, 0, 40)}})
	pair := frictionIn(recs)
	want := []audit.Friction{
		pair(audit.Cost, audit.Performance, 2, 0, 7, 4),
		pair(audit.Cost, audit.Reliability, 1, 0, 5),
		pair(audit.Cost, audit.Safety, 1, 0, 8),
		pair(audit.Cost, audit.Unresolved, 1, 0, 10),
	}
	if diff := cmp.Diff(want, found.Friction); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// C2: the predecessor's coordinator rejected envelopes by themselves.
func selfConflictIsNoFriction(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := story(t, store, rejects("a", "a"), over("p", audit.Cost, rejects("a", "a")), preempts("a", "a"), rejects("a", "b"))
	found := mustFind(t, store, audit.SignalQuery{})
	want := audit.SelfConflicts{Conflicts: 3, Evidence: audit.Evidence{AuditIDs: ids(recs, 2, 1, 0), Records: 3}}
	if diff := cmp.Diff(want, found.SelfConflicts); diff != "" || len(found.Friction) != 0 {
		t.Errorf("friction %v; self-conflicts (-want +got):\n%s", found.Friction, diff)
	}
}
