package reading

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Rows that were inserted or restored by hand can have any seq: the same number many times, and
// numbers that no sequence returns.
func listEqualSeqKeepsOrder(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	var recs []audit.Record
	for i := range 130 {
		rec := varied(i)
		rec.DecisionTimestamp, rec.Seq = at(0), 7 // more than a page of the default size
		recs = append(recs, rec)
	}
	for i, seq := range []int64{math.MinInt64, math.MinInt64, -1, 0, math.MaxInt64, math.MaxInt64} {
		for _, when := range []time.Time{at(0), at(1)} {
			rec := varied(4 * i)
			rec.DecisionTimestamp, rec.Seq = when, seq
			recs = append(recs, rec)
		}
	}
	first, last := varied(0), varied(4) // the lowest and the highest key at their times
	first.DecisionTimestamp, first.Seq, first.AuditID = at(0), math.MinInt64, uuid.Nil
	last.DecisionTimestamp, last.Seq, last.AuditID = at(1), math.MaxInt64, uuid.Max
	recs = append(recs, first, last)
	insertByHand(t, db, recs)
	stored := storedByHand(t, store, recs)
	mustListEveryWay(t, store, stored)
}

// A dump that is restored into a migrated database, or a promoted logical subscriber, has rows with
// their seq but leaves the sequence at its start.
func resetSequenceHidesNothing(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 60)
	fixture.MustExec(t, db.Pool, `SELECT setval(pg_get_serial_sequence('coordination_audit_records', 'seq'), 1, false)`)
	stored = append(stored, filled(t, store, 60)...)
	slices.SortFunc(stored, inTotalOrder)
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM (SELECT seq FROM coordination_audit_records GROUP BY decision_timestamp, seq HAVING count(*) > 1) AS s"); n == 0 {
		t.Fatal("no two records have the same time and seq")
	}
	mustListEveryWay(t, store, stored)
}

// mustListEveryWay compares the pages of every kind of listing, in both orders, with the stored
// records, which are in the total order.
func mustListEveryWay(t *testing.T, store *coordaudit.Store, stored []audit.Record) {
	t.Helper()
	for _, q := range []audit.Query{
		{Scope: audit.AllTenants()},
		{Scope: audit.Tenant("acme")},
		{Scope: audit.NoTenant()},
		{Scope: audit.AllTenants(), Decisions: []audit.Decision{audit.Applied, audit.Rejected}},
		{Scope: audit.Tenant("acme"), EnvelopeClasses: []audit.EnvelopeClass{audit.Safety, audit.Cost}},
		{Scope: audit.AllTenants(), Window: audit.Window{Since: at(0), Until: at(1)}},
		{Scope: audit.AllTenants(), Window: audit.Window{Since: at(0), Until: at(1).Add(time.Microsecond)}},
		{Scope: audit.AllTenants(), Window: audit.Window{Since: at(0).Add(time.Microsecond)}},
	} {
		for _, q.Order = range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
			for _, q.Limit = range []int{1, 9, 100, audit.MaxPageSize} {
				mustList(t, store, stored, q)
			}
		}
	}
	for _, scope := range []audit.Scope{audit.AllTenants(), audit.Tenant("acme")} {
		var want []audit.TimelineEntry
		for _, rec := range wanted(stored, audit.Query{Scope: scope, Order: audit.OldestFirst}) {
			if role := rec.RoleOf("envelope-1"); role != "" {
				want = append(want, audit.TimelineEntry{Record: rec, Role: role})
			}
		}
		for _, limit := range []int{1, 4, audit.MaxPageSize} {
			got := timelinePages(t, store, audit.TimelineQuery{Scope: scope, EnvelopeID: "envelope-1", Limit: limit})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("timeline for %s, pages of %d (-want +got):\n%s", scope, limit, diff)
			}
		}
	}
}

// insertByHand inserts records with their own seq, without the library.
func insertByHand(t *testing.T, db frame.Database, recs []audit.Record) {
	t.Helper()
	for _, rec := range recs {
		fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
				conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class, seq)
			OVERRIDING SYSTEM VALUE
			VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''), nullif($8, ''), $9, nullif($10, ''), nullif($11, ''), nullif($12, ''), nullif($13, ''), $14)`,
			rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.DecisionTimestamp,
			rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID, rec.ActiveEnvelopesCount, rec.TenantID,
			rec.TargetSubsystem, rec.TargetParameter, string(rec.CounterpartClass), rec.Seq)
	}
}

// storedByHand reads records that were inserted by hand one by one and returns them in the total
// order.
func storedByHand(t *testing.T, store *coordaudit.Store, recs []audit.Record) []audit.Record {
	t.Helper()
	stored := make([]audit.Record, len(recs))
	for i, rec := range recs {
		found, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		rec.CreatedAt = found.CreatedAt
		if diff := cmp.Diff(rec, found); diff != "" {
			t.Errorf("(-inserted +read):\n%s", diff)
		}
		stored[i] = rec
	}
	slices.SortFunc(stored, inTotalOrder)
	return stored
}

// If two records have the same time and seq, the one with the lower id comes first, in signals and in
// listings.
func equalSeqFollowsIDs(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	recs := []audit.Record{
		preempts("a", "x"), applies("a"), applies("x"), preempts("b", "x"), // a's cycle; b meets x after its class is known, a before
		preempts("a", "y"), applies("a"), applies("y"), // another cycle; the class of y is not known yet
		applies("y"), preempts("b", "y"), // now with another class
	}
	recs[2].EnvelopeClass, recs[6].EnvelopeClass, recs[7].EnvelopeClass = audit.Safety, audit.Safety, audit.Reliability
	for i := range recs {
		recs[i].AuditID, recs[i].DecisionTimestamp, recs[i].Seq, recs[i].Reason = id(byte(i+1)), at(0), 1, "a test's reason"
		if recs[i].EnvelopeClass == "" {
			recs[i].EnvelopeClass = audit.Cost
		}
	}
	backwards := slices.Clone(recs)
	slices.Reverse(backwards) // so that neither the heap nor the sequence is in the order of the ids
	insertByHand(t, db, backwards)
	found := mustFind(t, store, audit.SignalQuery{MinConflicts: 1})
	want := []audit.Oscillation{{
		EnvelopeID: "a", Cycles: 2, PreemptingEnvelopes: map[string]int64{"x": 1, "y": 1}, FirstPreempted: at(0), LastReapplied: at(0),
		Evidence: audit.Evidence{AuditIDs: ids(recs, 5, 4, 1, 0), Records: 4},
	}}
	if diff := cmp.Diff(want, found.Oscillations); diff != "" {
		t.Errorf("oscillations (-want +got):\n%s", diff)
	}
	pair := frictionIn(recs)
	friction := []audit.Friction{
		pair(audit.Cost, audit.Unresolved, 0, 2, 4, 0),
		pair(audit.Cost, audit.Reliability, 0, 1, 8),
		pair(audit.Cost, audit.Safety, 0, 1, 3),
	}
	if diff := cmp.Diff(friction, found.Friction); diff != "" {
		t.Errorf("friction (-want +got):\n%s", diff)
	}
}

func gapsEqualSeqKeepsOrder(t *testing.T, db frame.Database) {
	var want []uuid.UUID
	for n := range 40 {
		if n%10 == 0 {
			fixture.MustExec(t, db.Pool, `SELECT setval(pg_get_serial_sequence('coordination_audit_gaps', 'seq'), 1, false)`)
		}
		gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
		frame.MustPersistGap(t, db, gap)
		want = append(want, gap.GapID)
	}
	bySeq := func(id uuid.UUID) int {
		return fixture.QueryInt(t, db.Pool, "SELECT seq FROM coordination_audit_gaps WHERE gap_id = $1", id)
	}
	slices.SortFunc(want, func(a, b uuid.UUID) int {
		if order := bySeq(b) - bySeq(a); order != 0 {
			return order
		}
		return slices.Compare(b[:], a[:])
	})
	for _, limit := range []int{1, 7, 40} {
		if diff := cmp.Diff(want[:limit], frame.GapIDs(frame.MustListGaps(t, frame.NewStore(db), audit.GapQuery{Limit: limit}))); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}
