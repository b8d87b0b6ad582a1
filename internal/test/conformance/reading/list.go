package reading

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func pagesHoldEachRecordOnce(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 120)
	for _, scope := range everyScope() {
		for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
			for _, limit := range []int{1, 7, 30, 120, audit.MaxPageSize} {
				mustList(t, store, stored, audit.Query{Scope: scope, Order: order, Limit: limit})
			}
		}
	}
}

// Row 14: the predecessor could not order records of the same time.
func equalTimesKeepOrder(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := fixture.NewRecords(200)
	results, err := store.PersistMany(t.Context(), recs)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []audit.Query{
		{Scope: audit.Tenant("acme"), Order: audit.OldestFirst, Limit: 9},
		{Scope: audit.AllTenants(), Order: audit.OldestFirst, Limit: 9},
		{Scope: audit.Tenant("acme"), Order: audit.OldestFirst, Limit: 9, EnvelopeIDs: []string{recs[0].EnvelopeID}},
	} {
		got := pages(t, store, q)
		if len(got) != len(recs) {
			t.Fatalf("%d records, want %d", len(got), len(recs))
		}
		for i := range got {
			if got[i].AuditID != results[i].AuditID {
				t.Fatalf("%+v: record %d is %s, want %s, inserted in that place", q, i, got[i].AuditID, results[i].AuditID)
			}
		}
	}
}

func insertsHideNothing(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 300)
	ctx, stop := context.WithCancel(context.Background())
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := store.Persist(ctx, varied(i)); err != nil {
					t.Errorf("inserting meanwhile: %v", err)
				}
			}
		})
	}
	for _, q := range []audit.Query{
		{Scope: audit.AllTenants(), Limit: 5},
		{Scope: audit.AllTenants(), Limit: 5, Order: audit.OldestFirst},
		{Scope: audit.Tenant("acme"), Limit: 2},
		{Scope: audit.AllTenants(), Limit: 3, Decisions: []audit.Decision{audit.Rejected}},
	} {
		seen := map[uuid.UUID]int{}
		for _, rec := range pages(t, store, q) {
			seen[rec.AuditID]++
		}
		for _, rec := range wanted(stored, q) {
			if seen[rec.AuditID] == 0 {
				t.Errorf("%+v: record %s, there from the start, was missed", q, rec.AuditID)
			}
		}
		for id, times := range seen {
			if times > 1 {
				t.Errorf("%+v: record %s was seen %d times", q, id, times)
			}
		}
	}
	stop()
	writers.Wait()
}

func filtersMatch(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 240)
	all := audit.Query{
		EnvelopeIDs: []string{"envelope-1", "envelope-4"}, EnvelopeClasses: []audit.EnvelopeClass{audit.Cost, audit.Unknown},
		Decisions: []audit.Decision{audit.Rejected, audit.Applied}, ConflictingEnvelopeID: "envelope-1", ReasonContains: "reason",
		TargetSubsystem: "retry", TargetParameter: "parameter-1", Window: audit.Window{Since: stored[9].DecisionTimestamp},
	}
	queries := []audit.Query{
		{EnvelopeIDs: all.EnvelopeIDs},
		{EnvelopeClasses: all.EnvelopeClasses},
		{Decisions: all.Decisions},
		{ConflictingEnvelopeID: "envelope-1"},
		{PreemptingEnvelopeID: "envelope-2"},
		{TargetSubsystem: "retry"},
		{TargetParameter: "parameter-2"},
		{ReasonContains: "1: 100% of it_"},
		{ReasonContains: "1: 100_"}, // no wildcard
		{ReasonContains: "REASON"},  // case matters
		{ReasonContains: `\`},
		{EnvelopeIDs: []string{"absent"}},
		{Window: all.Window, Decisions: []audit.Decision{audit.Preempted}},
		{ReasonCode: "CODE_1"},
		{ReasonCode: "code_1"},
		{PolicyVersion: "policy-1"},
		{Actor: "coordinator-2"},
		{CausedBy: numbered(2)},
		{Corrects: numbered(2)},
		{CorrelationID: "action-3"},
		{TraceID: audit.TraceID{0xff}},
		{
			Decisions: all.Decisions, ReasonCode: "CODE_3", PolicyVersion: "policy-0", Actor: "coordinator-3",
			CausedBy: numbered(3), Corrects: numbered(3), CorrelationID: "action-3", TraceID: audit.TraceID{0xff},
		},
		all,
	}
	for _, q := range queries {
		for _, scope := range everyScope() {
			for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
				q.Scope, q.Order, q.Limit = scope, order, 7
				mustList(t, store, stored, q)
			}
		}
	}
}

func windowIsHalfOpen(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 60)
	middle := stored[30].DecisionTimestamp
	for _, window := range []audit.Window{
		{Since: middle},
		{Until: middle},
		{Since: middle, Until: middle}, // nothing
		{Since: middle.Add(-time.Second), Until: middle.Add(time.Second)},
		{Since: middle.Add(time.Nanosecond)}, // excludes the record
		{Until: middle.Add(time.Nanosecond)}, // includes the record
		{Since: middle.In(time.FixedZone("", 19800))},
		{Since: time.Time{}.Add(time.Microsecond), Until: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		for _, scope := range everyScope() {
			for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
				mustList(t, store, stored, audit.Query{Scope: scope, Window: window, Order: order, Limit: 4})
			}
		}
	}
}

func allReadsEveryPage(t *testing.T, db frame.Database) {
	pool := fixture.OpenPool(t, fixture.WithSetting(db.URL, "pool_max_conns=1"), nil)
	store := coordaudit.New(pool, fixture.Quiet())
	stored := filled(t, store, 50)
	query := audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst, Limit: 8}
	all := store.All(t.Context(), query)
	for range 2 { // an iterator can be used again
		var got []audit.Record
		for rec, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			// The pool has one connection, so no page may keep it.
			if _, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID); err != nil {
				t.Fatal(err)
			}
			got = append(got, rec)
		}
		if diff := cmp.Diff(stored, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range store.All(ctx, query) {
		if n++; n == 20 {
			cancel()
		}
		last = err
	}
	if n >= len(stored) || last == nil {
		t.Errorf("%d records and error %v after the context ended, want fewer and an error", n, last)
	}
}

func execModesAgree(t *testing.T, db frame.Database) {
	stored := filled(t, frame.NewStore(db), 90)
	for _, mode := range db.ExecModes() {
		store := coordaudit.New(frame.PoolInMode(t, db, mode), fixture.Quiet())
		for range 7 { // after five executions the server may change its plan
			for _, q := range []audit.Query{
				{Scope: audit.AllTenants(), Limit: 40},
				{Scope: audit.Tenant("acme"), Limit: 40, Order: audit.OldestFirst},
				{Scope: audit.NoTenant(), Limit: 40, Decisions: []audit.Decision{audit.Applied}},
			} {
				mustList(t, store, stored, q)
			}
			everyRead(t, store, audit.Tenant("acme"))
		}
	}
}
