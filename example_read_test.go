package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// exampleTrail returns a store with a few records: one envelope is preempted twice and
// applied again each time.
func exampleTrail(ctx context.Context) (store *coordaudit.Store, drop func()) {
	db, drop := exampleDB(ctx)
	store = coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	at := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	var recs []audit.Record
	for _, decided := range []struct {
		envelope   string
		class      audit.EnvelopeClass
		decision   audit.Decision
		preempting string
	}{
		{"saver", audit.Cost, audit.Applied, ""},
		{"saver", audit.Cost, audit.Preempted, "guard"},
		{"guard", audit.Safety, audit.Applied, ""},
		{"saver", audit.Cost, audit.Applied, ""},
		{"saver", audit.Cost, audit.Preempted, "guard"},
		{"guard", audit.Safety, audit.Applied, ""},
		{"saver", audit.Cost, audit.Applied, ""},
	} {
		at = at.Add(time.Minute)
		rec := audit.Record{
			EnvelopeID: decided.envelope, EnvelopeClass: decided.class, Decision: decided.decision,
			Reason: "recorded by an example", DecisionTimestamp: at, TenantID: "acme",
		}
		if decided.decision == audit.Preempted {
			rec.PreemptingEnvelopeID, rec.CounterpartClass = decided.preempting, audit.Safety
		}
		recs = append(recs, rec)
	}
	if _, err := store.PersistMany(ctx, recs); err != nil {
		log.Fatal(err)
	}
	return store, drop
}

// Pages are keyset pages, so a record that is inserted between two pages moves no other.
func ExampleStore_List() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	query := audit.Query{
		Scope:     audit.Tenant("acme"),
		Decisions: []audit.Decision{audit.Preempted},
		Window:    audit.Window{Since: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)},
		Limit:     1,
	}
	for {
		page, err := store.List(ctx, query)
		if err != nil {
			log.Fatal(err)
		}
		for _, rec := range page.Records {
			fmt.Println(rec.DecisionTimestamp.Format(time.TimeOnly), rec.EnvelopeID, rec.Decision, "by", rec.PreemptingEnvelopeID)
		}
		if page.Next == "" {
			break
		}
		query.After = page.Next
	}
	// Output:
	// 09:05:00 saver PREEMPTED by guard
	// 09:02:00 saver PREEMPTED by guard
}

// All reads every page and holds one of them in memory.
func ExampleStore_All() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	decisions := map[audit.Decision]int{}
	for rec, err := range store.All(ctx, audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst}) {
		if err != nil {
			log.Fatal(err)
		}
		decisions[rec.Decision]++
	}
	fmt.Println(decisions)
	// Output: map[APPLIED:5 PREEMPTED:2]
}

// A record outside the scope is missing, as if it did not exist.
func ExampleStore_GetMany() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()
	page, err := store.List(ctx, audit.Query{Scope: audit.AllTenants(), Limit: 2})
	if err != nil {
		log.Fatal(err)
	}
	ids := []uuid.UUID{page.Records[0].AuditID, page.Records[1].AuditID}

	for _, scope := range []audit.Scope{audit.Tenant("acme"), audit.Tenant("globex")} {
		found, missing, err := store.GetMany(ctx, scope, ids)
		fmt.Println(scope, len(found), "found,", len(missing), "missing", err)
	}
	// Output:
	// tenant acme 2 found, 0 missing <nil>
	// tenant globex 0 found, 2 missing <nil>
}

// A timeline also has the records of other envelopes that name this one.
func ExampleStore_Timeline() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	timeline, err := store.Timeline(ctx, audit.TimelineQuery{Scope: audit.Tenant("acme"), EnvelopeID: "guard"})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range timeline.Entries {
		fmt.Println(entry.DecisionTimestamp.Format(time.TimeOnly), entry.Role, entry.EnvelopeID, entry.Decision)
	}
	// Output:
	// 09:02:00 preempting saver PREEMPTED
	// 09:03:00 subject guard APPLIED
	// 09:05:00 preempting saver PREEMPTED
	// 09:06:00 subject guard APPLIED
}

func ExampleStore_Breakdown() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	breakdown, err := store.Breakdown(ctx, audit.BreakdownQuery{Scope: audit.AllTenants()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(breakdown.Total, "records from", breakdown.FirstSeen.Format(time.TimeOnly), "to", breakdown.LastSeen.Format(time.TimeOnly))
	fmt.Println(breakdown.ByClassDecision[audit.Cost])
	// Output:
	// 7 records from 09:01:00 to 09:07:00
	// map[APPLIED:3 PREEMPTED:2]
}

// Each signal has the ids of the records behind it.
func ExampleStore_Signals() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	signals, err := store.Signals(ctx, audit.SignalQuery{Scope: audit.Tenant("acme"), MinConflicts: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range signals.Oscillations {
		fmt.Println(o.EnvelopeID, "oscillates:", o.Cycles, "cycles, by", o.PreemptingEnvelopes, "-", len(o.Evidence.AuditIDs), "records")
	}
	for _, f := range signals.Friction {
		fmt.Println(f.EnvelopeClass, "lost to", f.CounterpartClass, f.Conflicts, "times")
	}
	// Output:
	// saver oscillates: 2 cycles, by map[guard:2] - 4 records
	// COST lost to SAFETY 2 times
}

func ExampleStore_Trend() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	trend, err := store.Trend(ctx, audit.TrendQuery{
		Scope:      audit.AllTenants(),
		Window:     audit.Window{Since: time.Date(2026, 1, 5, 9, 5, 0, 0, time.UTC), Until: time.Date(2026, 1, 5, 9, 10, 0, 0, time.UTC)},
		Windows:    2,
		MinRecords: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, window := range trend {
		for _, rate := range window.RejectionRates {
			fmt.Printf("from %s: %s %d of %d rejected\n", window.Window.Since.Format(time.TimeOnly), rate.EnvelopeClass, rate.Rejected, rate.Total)
		}
	}
	// Output:
	// from 09:00:00: COST 0 of 3 rejected
	// from 09:00:00: SAFETY 0 of 1 rejected
	// from 09:05:00: COST 0 of 2 rejected
	// from 09:05:00: SAFETY 0 of 1 rejected
}

// An invalid query is refused with all its faults, each by its field.
func ExampleStore_List_badQuery() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	_, err := store.List(ctx, audit.Query{Scope: audit.AllTenants(), Limit: 5000, EnvelopeClasses: []audit.EnvelopeClass{"LATENCY"}})
	if invalid, ok := errors.AsType[*audit.InvalidQueryError](err); ok {
		for _, fault := range invalid.Faults {
			fmt.Println(fault.Field, fault.Reason)
		}
	}
	_, err = store.List(ctx, audit.Query{})
	fmt.Println(err)
	// Output:
	// envelope_classes[0] must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)
	// limit must be 1 to 1000, or 0 for 100
	// listing audit records for no scope: no scope given: pass audit.Tenant(id), audit.NoTenant() or audit.AllTenants()
}

// An explanation rests on records of the trail, and says how it found them.
func ExampleStore_Explain() {
	ctx := context.Background()
	store, drop := exampleTrail(ctx)
	defer drop()

	scope := audit.Tenant("acme")
	page, err := store.List(ctx, audit.Query{Scope: scope, Decisions: []audit.Decision{audit.Preempted}, Limit: 1})
	if err != nil {
		log.Fatal(err)
	}
	e, err := store.Explain(ctx, scope, page.Records[0].AuditID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Record.EnvelopeID, "was", e.Cause, "by", e.Counterpart.EnvelopeID)
	if by := e.Counterpart.Record; by != nil {
		fmt.Println(by.Decision, by.DecisionTimestamp.Format(time.TimeOnly), "found by", e.Counterpart.FoundBy)
	}
	if e.Next != nil {
		fmt.Println(e.Next.Decision, "again after", e.Next.DecisionTimestamp.Sub(e.Record.DecisionTimestamp))
	}
	fmt.Println("met", e.Meetings.Total(), "times; next:", e.NextStep)
	// Output:
	// saver was PREEMPTED by guard
	// APPLIED 09:06:00 found by RULE
	// APPLIED again after 2m0s
	// met 2 times; next: EXPLAIN_COUNTERPART
}
