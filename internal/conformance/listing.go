package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func listings() []promise {
	return []promise{
		{"PagesHoldEachRecordOnceInTheirOrder", pagesHoldEachRecordOnceInTheirOrder},
		{"EqualTimesPageInTheOrderOfInsertion", equalTimesPageInTheOrderOfInsertion},
		{"PagesMissNothingWhileOthersInsert", pagesMissNothingWhileOthersInsert},
		{"FiltersLetThroughWhatTheySay", filtersLetThroughWhatTheySay},
		{"AWindowIsHalfOpenToTheMicrosecond", aWindowIsHalfOpenToTheMicrosecond},
		{"AllReadsEveryPageAndEndsWhenItsReaderDoes", allReadsEveryPageAndEndsWhenItsReaderDoes},
		{"ReadsAreTheSameInEveryExecMode", readsAreTheSameInEveryExecMode},
	}
}

// filled persists records of three tenants and none, of every class and decision,
// several at the same time, and returns them as they are stored, oldest first.
func filled(t *testing.T, store *coordaudit.Store, n int) []audit.Record {
	t.Helper()
	recs := make([]audit.Record, n)
	for i := range recs {
		recs[i] = varied(i)
	}
	receipts, err := store.PersistMany(t.Context(), recs)
	if err != nil {
		t.Fatal(err)
	}
	for i, receipt := range receipts {
		recs[i] = recs[i].Normalized()
		recs[i].Seq, recs[i].CreatedAt = receipt.Seq, receipt.CreatedAt
	}
	slices.SortFunc(recs, inTotalOrder)
	return recs
}

func varied(i int) audit.Record {
	rec := audit.Record{
		AuditID:              uuid.New(),
		EnvelopeID:           fmt.Sprintf("envelope-%d", i%7),
		EnvelopeClass:        audit.EnvelopeClasses()[i%5],
		Decision:             audit.Decisions()[i%3],
		Reason:               fmt.Sprintf("reason %d: 100%% of it_", i%11),
		DecisionTimestamp:    time.Date(2026, 1, 2, 0, 0, i/4%20, i%2*1000, time.UTC),
		ActiveEnvelopesCount: int32(i % 13),
		TenantID:             []string{"acme", "globex", "", "initech"}[i%4],
	}
	switch rec.Decision {
	case audit.Rejected:
		rec.ConflictingEnvelopeID = fmt.Sprintf("envelope-%d", i%6)
	case audit.Preempted:
		rec.PreemptingEnvelopeID = fmt.Sprintf("envelope-%d", i%5)
	case audit.Applied:
	}
	if i%2 == 0 {
		rec.TargetSubsystem, rec.TargetParameter = "retry", fmt.Sprintf("parameter-%d", i%3)
	}
	return rec
}

func inTotalOrder(a, b audit.Record) int {
	if order := a.DecisionTimestamp.Compare(b.DecisionTimestamp); order != 0 {
		return order
	}
	return int(a.Seq - b.Seq)
}

func everyScope() []audit.Scope {
	return []audit.Scope{audit.AllTenants(), audit.Tenant("acme"), audit.Tenant("globex"), audit.NoTenant(), audit.Tenant("nobody")}
}

// wanted are the records that a query asks for, found without SQL.
func wanted(recs []audit.Record, q audit.Query) []audit.Record {
	var found []audit.Record
	for _, rec := range recs {
		if (q.Scope.IsAllTenants() || rec.TenantID == q.Scope.TenantID()) &&
			(q.Window.Since.IsZero() || !rec.DecisionTimestamp.Before(q.Window.Since)) &&
			(q.Window.Until.IsZero() || rec.DecisionTimestamp.Before(q.Window.Until)) &&
			(len(q.EnvelopeIDs) == 0 || slices.Contains(q.EnvelopeIDs, rec.EnvelopeID)) &&
			(len(q.EnvelopeClasses) == 0 || slices.Contains(q.EnvelopeClasses, rec.EnvelopeClass)) &&
			(len(q.Decisions) == 0 || slices.Contains(q.Decisions, rec.Decision)) &&
			(q.ConflictingEnvelopeID == "" || rec.ConflictingEnvelopeID == q.ConflictingEnvelopeID) &&
			(q.PreemptingEnvelopeID == "" || rec.PreemptingEnvelopeID == q.PreemptingEnvelopeID) &&
			(q.TargetSubsystem == "" || rec.TargetSubsystem == q.TargetSubsystem) &&
			(q.TargetParameter == "" || rec.TargetParameter == q.TargetParameter) &&
			strings.Contains(rec.Reason, q.ReasonContains) {
			found = append(found, rec)
		}
	}
	if q.Order == audit.NewestFirst {
		slices.Reverse(found)
	}
	return found
}

// pages reads a query page by page.
func pages(t *testing.T, store *coordaudit.Store, q audit.Query) []audit.Record {
	t.Helper()
	var recs []audit.Record
	for {
		page, err := store.List(t.Context(), q)
		if err != nil {
			t.Fatalf("after %d records: %v", len(recs), err)
		}
		if q.Limit > 0 && len(page.Records) > q.Limit {
			t.Fatalf("a page of %d records, want at most %d", len(page.Records), q.Limit)
		}
		recs = append(recs, page.Records...)
		if page.Next == "" {
			return recs
		}
		q.After = page.Next
	}
}

// mustList holds pages and count against what was stored.
func mustList(t *testing.T, store *coordaudit.Store, stored []audit.Record, q audit.Query) {
	t.Helper()
	want := wanted(stored, q)
	if diff := cmp.Diff(want, pages(t, store, q)); diff != "" {
		t.Errorf("%+v (-want +got):\n%s", q, diff)
	}
	if n, err := store.Count(t.Context(), q); err != nil || n != int64(len(want)) {
		t.Errorf("%+v: Count() = %d, %v; want %d", q, n, err, len(want))
	}
}

func pagesHoldEachRecordOnceInTheirOrder(t *testing.T, db Database) {
	store := newStore(db)
	stored := filled(t, store, 120)
	for _, scope := range everyScope() {
		for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
			for _, limit := range []int{1, 7, 30, 120, audit.MaxPageSize} {
				mustList(t, store, stored, audit.Query{Scope: scope, Order: order, Limit: limit})
			}
		}
	}
}

// Row 14: the predecessor could not order records of one time.
func equalTimesPageInTheOrderOfInsertion(t *testing.T, db Database) {
	store := newStore(db)
	recs := newRecords(200)
	receipts, err := store.PersistMany(t.Context(), recs)
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
			if got[i].AuditID != receipts[i].AuditID {
				t.Fatalf("%+v: record %d is %s, want %s, inserted in that place", q, i, got[i].AuditID, receipts[i].AuditID)
			}
		}
	}
}

func pagesMissNothingWhileOthersInsert(t *testing.T, db Database) {
	store := newStore(db)
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

func filtersLetThroughWhatTheySay(t *testing.T, db Database) {
	store := newStore(db)
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
		{ReasonContains: "REASON"},  // letter by letter
		{ReasonContains: `\`},
		{EnvelopeIDs: []string{"nobody"}},
		{Window: all.Window, Decisions: []audit.Decision{audit.Preempted}},
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

func aWindowIsHalfOpenToTheMicrosecond(t *testing.T, db Database) {
	store := newStore(db)
	stored := filled(t, store, 60)
	middle := stored[30].DecisionTimestamp
	for _, window := range []audit.Window{
		{Since: middle},
		{Until: middle},
		{Since: middle, Until: middle}, // nothing
		{Since: middle.Add(-time.Second), Until: middle.Add(time.Second)},
		{Since: middle.Add(time.Nanosecond)}, // the record lies before it
		{Until: middle.Add(time.Nanosecond)}, // and here within
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

func allReadsEveryPageAndEndsWhenItsReaderDoes(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "pool_max_conns=1"), nothing)
	store := coordaudit.New(pool, quiet())
	stored := filled(t, store, 50)
	query := audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst, Limit: 8}
	all := store.All(t.Context(), query)
	for range 2 { // an iterator may be used again
		var got []audit.Record
		for rec, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			// The pool has one connection: no page may hold it.
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

func readsAreTheSameInEveryExecMode(t *testing.T, db Database) {
	stored := filled(t, newStore(db), 90)
	for _, mode := range execModes() {
		store := coordaudit.New(poolInMode(t, db, mode), quiet())
		for range 7 { // beyond the executions after which the server may plan otherwise
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
