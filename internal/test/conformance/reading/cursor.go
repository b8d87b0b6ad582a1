package reading

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func cursorFitsOneQuery(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	filled(t, store, 60)
	own := audit.Query{
		Scope: audit.Tenant("acme"), EnvelopeIDs: []string{"envelope-1", "envelope-2", "envelope-3"}, Limit: 2,
		Decisions: []audit.Decision{audit.Applied, audit.Rejected}, Window: audit.Window{Since: varied(0).DecisionTimestamp},
	}
	page, err := store.List(t.Context(), own)
	if err != nil || page.Next == "" {
		t.Fatalf("no second page: %v", err)
	}
	own.After = page.Next

	mayChange := map[string]func(*audit.Query){
		"nothing":                func(*audit.Query) {},
		"the limit":              func(q *audit.Query) { q.Limit = 50 },
		"the filter's order":     func(q *audit.Query) { q.EnvelopeIDs = []string{"envelope-3", "envelope-1", "envelope-2"} },
		"the zone of the window": func(q *audit.Query) { q.Window.Since = q.Window.Since.In(time.FixedZone("", 3600)) },
	}
	for name, change := range mayChange {
		t.Run(name+" may change", func(t *testing.T) {
			t.Parallel()
			q := own
			change(&q)
			if _, err := store.List(t.Context(), q); err != nil {
				t.Error(err)
			}
		})
	}
	for name, change := range otherQueries() {
		t.Run(name+" may not change", func(t *testing.T) {
			t.Parallel()
			q := own
			change(&q)
			mustRefuseCursor(t, func() error { _, err := store.List(t.Context(), q); return err })
		})
	}
	mustRefuseCursor(t, func() error {
		_, err := store.Timeline(t.Context(), audit.TimelineQuery{Scope: own.Scope, EnvelopeID: "envelope-1", After: own.After})
		return err
	})
	timelineCursorFitsOneQuery(t, store)
}

// otherQueries are changes after which a cursor must not fit.
func otherQueries() map[string]func(*audit.Query) {
	return map[string]func(*audit.Query){
		"the tenant":               func(q *audit.Query) { q.Scope = audit.Tenant("globex") },
		"the scope to none":        func(q *audit.Query) { q.Scope = audit.NoTenant() },
		"the scope to all":         func(q *audit.Query) { q.Scope = audit.AllTenants() },
		"the order":                func(q *audit.Query) { q.Order = audit.OldestFirst },
		"since":                    func(q *audit.Query) { q.Window.Since = q.Window.Since.Add(time.Microsecond) },
		"until":                    func(q *audit.Query) { q.Window.Until = varied(40).DecisionTimestamp },
		"the envelopes":            func(q *audit.Query) { q.EnvelopeIDs = q.EnvelopeIDs[:2] },
		"a filter's place":         func(q *audit.Query) { q.EnvelopeIDs, q.ConflictingEnvelopeID = q.EnvelopeIDs[:2], q.EnvelopeIDs[2] },
		"the classes":              func(q *audit.Query) { q.EnvelopeClasses = audit.EnvelopeClasses() },
		"the decisions":            func(q *audit.Query) { q.Decisions = nil },
		"the preemptor":            func(q *audit.Query) { q.PreemptingEnvelopeID = "envelope-1" },
		"the target":               func(q *audit.Query) { q.TargetSubsystem = "retry" },
		"the reason":               func(q *audit.Query) { q.ReasonContains = "r" },
		"the code":                 func(q *audit.Query) { q.ReasonCode = "CODE_1" },
		"the cause":                func(q *audit.Query) { q.CausedBy = numbered(1) },
		"the trace":                func(q *audit.Query) { q.TraceID = audit.TraceID{1} },
		"its last letter":          func(q *audit.Query) { q.After = q.After[:len(q.After)-1] },
		"one letter more":          func(q *audit.Query) { q.After += "A" },
		"the cursor to a longer":   func(q *audit.Query) { q.After += q.After },
		"the cursor to upper case": func(q *audit.Query) { q.After = audit.Cursor(strings.ToUpper(string(q.After))) },
	}
}

func timelineCursorFitsOneQuery(t *testing.T, store *coordaudit.Store) {
	t.Helper()
	own := audit.TimelineQuery{Scope: audit.AllTenants(), EnvelopeID: "envelope-1", Limit: 1}
	page, err := store.Timeline(t.Context(), own)
	if err != nil || page.Next == "" {
		t.Fatalf("no second page: %v", err)
	}
	own.After = page.Next
	for _, change := range []func(*audit.TimelineQuery){
		func(q *audit.TimelineQuery) { q.Scope = audit.Tenant("acme") },
		func(q *audit.TimelineQuery) { q.EnvelopeID = "envelope-2" },
		func(q *audit.TimelineQuery) { q.Window.Since = varied(0).DecisionTimestamp },
	} {
		q := own
		change(&q)
		mustRefuseCursor(t, func() error { _, err := store.Timeline(t.Context(), q); return err })
	}
	mustRefuseCursor(t, func() error {
		_, err := store.List(t.Context(), audit.Query{Scope: own.Scope, After: own.After})
		return err
	})
}

func mustRefuseCursor(t *testing.T, call func() error) {
	t.Helper()
	err := call()
	invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
	if !ok || len(invalid.Faults) != 1 || invalid.Faults[0].Field != "after" {
		t.Errorf("error %v, want the cursor refused", err)
	}
}

// Row R20: readers can read and do nothing else.
func readNeedsSelectOnly(t *testing.T, db frame.Database) {
	filled(t, frame.NewStore(db), 40)
	pool, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records")
	store := coordaudit.New(pool, fixture.Quiet())
	everyRead(t, store, audit.AllTenants())
	if _, err := store.Persist(t.Context(), fixture.NewRecord()); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("Persist() = %v, want ErrRefused", err)
	}
	standby := fixture.OpenStore(t, fixture.WithSetting(db.URL, "default_transaction_read_only=on"), fixture.Quiet())
	everyRead(t, standby, audit.AllTenants())
}

func readFailsAsDocumented(t *testing.T, db frame.Database) {
	closed := fixture.OpenStore(t, db.URL, fixture.Quiet())
	closed.Close()
	none := coordaudit.New(nil, fixture.Quiet())
	away := fixture.OpenStore(t, "postgres://user:hunter2@127.0.0.1:1/db", fixture.Quiet())
	unmigrated := fixture.OpenStore(t, fixture.WithSetting(db.URL, "search_path=pg_temp"), fixture.Quiet())
	for _, test := range []struct {
		name  string
		store *coordaudit.Store
		scope audit.Scope
		want  error
	}{
		{"closed", closed, audit.AllTenants(), audit.ErrClosed},
		{"without a pool", none, audit.AllTenants(), audit.ErrNoPool},
		{"database away", away, audit.AllTenants(), audit.ErrUnavailable},
		{"no table", unmigrated, audit.AllTenants(), audit.ErrRefused},
		{"no scope", frame.NewStore(db), audit.Scope{}, audit.ErrNoScope},
		{"a scope that cannot be", frame.NewStore(db), audit.Tenant("\x00"), audit.ErrInvalidQuery},
	} {
		window := audit.Window{Since: varied(0).DecisionTimestamp, Until: varied(40).DecisionTimestamp}
		calls := map[string]func() error{
			"Get": func() error {
				_, err := test.store.Get(t.Context(), test.scope, fixture.NewRecord().AuditID)
				return err
			},
			"Explain": func() error {
				_, err := test.store.Explain(t.Context(), test.scope, fixture.NewRecord().AuditID)
				return err
			},
			"GetMany": func() error { _, _, err := test.store.GetMany(t.Context(), test.scope, nil); return err },
			"List":    func() error { _, err := test.store.List(t.Context(), audit.Query{Scope: test.scope}); return err },
			"Count":   func() error { _, err := test.store.Count(t.Context(), audit.Query{Scope: test.scope}); return err },
			"Timeline": func() error {
				_, err := test.store.Timeline(t.Context(), audit.TimelineQuery{Scope: test.scope, EnvelopeID: "e"})
				return err
			},
			"Breakdown": func() error {
				_, err := test.store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: test.scope})
				return err
			},
			"Signals": func() error {
				_, err := test.store.Signals(t.Context(), audit.SignalQuery{Scope: test.scope})
				return err
			},
			"Trend": func() error {
				_, err := test.store.Trend(t.Context(), audit.TrendQuery{Scope: test.scope, Window: window})
				return err
			},
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s, %s: %v, want %v", test.name, name, err, test.want)
			}
		}
	}
}
