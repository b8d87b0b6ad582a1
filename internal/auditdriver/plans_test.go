package auditdriver_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	primaryKey       = "coordination_audit_records_pkey"
	timeIndex        = "coordination_audit_time_idx"
	scopeIndex       = "coordination_audit_scope_time_idx"
	envelopeIndex    = "coordination_audit_envelope_scope_time_idx"
	conflictingIndex = "coordination_audit_conflicting_scope_time_idx"
	preemptingIndex  = "coordination_audit_preempting_scope_time_idx"
	causedByIndex    = "coordination_audit_caused_by_time_idx"
	correctsIndex    = "coordination_audit_corrects_idx"

	million = 1_000_000
)

// planTest is one promise of docs/reading.md.
type planTest struct {
	call    func(context.Context, *auditdriver.Driver) error
	indexes []string
	maxRows int // read from the table; 0 promises only the indexes
}

// The promised plans, on a table of a million records. A plan is judged by the rows that it
// reads: that number is the same on a slow machine and on a fast one.
func TestReadsUseIndexes(t *testing.T) {
	t.Parallel()
	bench := seeded(t)
	for name, test := range planTests(bench.some) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sent := range bench.statementsOf(t, test.call) {
				plan := bench.explain(t, sent)
				if diff := cmp.Diff(test.indexes, plan.indexes); diff != "" || plan.seqScans > 0 {
					t.Errorf("%d sequential scans, indexes (-want +got):\n%s\n%s", plan.seqScans, diff, plan.text)
				}
				if test.maxRows > 0 && plan.rowsRead > test.maxRows {
					t.Errorf("%d rows read, want at most %d\n%s", plan.rowsRead, test.maxRows, plan.text)
				}
			}
		})
	}
}

// The planner alone takes each record of a few days for a page of its own, and reads all records. No one
// has the reason code, so it cannot hope for a full page before the window ends.
func TestReadsStayInTheirWindow(t *testing.T) {
	t.Parallel()
	bench := seeded(t)
	days := audit.Window{Since: january(20), Until: january(23)}
	for _, scope := range []audit.Scope{audit.Tenant("tenant-acme"), audit.AllTenants()} {
		for name, call := range map[string]func(context.Context, *auditdriver.Driver) error{
			"list": list(audit.Query{Scope: scope, Window: days, ReasonCode: "NONE"}, nil),
			"count": func(ctx context.Context, d *auditdriver.Driver) error {
				_, err := d.Count(ctx, &audit.Query{Scope: scope, Window: days})
				return err
			},
			"breakdown": func(ctx context.Context, d *auditdriver.Driver) error {
				_, err := d.Breakdown(ctx, &audit.BreakdownQuery{Scope: scope, Window: days})
				return err
			},
		} {
			t.Run(fmt.Sprintf("%s of %s", name, scope), func(t *testing.T) {
				t.Parallel()
				for _, sent := range bench.statementsOf(t, call) {
					if plan := bench.explain(t, sent); plan.seqScans > 0 || plan.rowsRead > million/9 {
						t.Errorf("%d sequential scans, %d rows read\n%s", plan.seqScans, plan.rowsRead, plan.text)
					}
				}
			})
		}
	}
}

const (
	page = 101

	// The last record of the page before, which is skipped, and the one after the page,
	// which shows that no other record has the last one's time and seq.
	reads = page + 2
)

func list(q audit.Query, from *auditdriver.Position) func(context.Context, *auditdriver.Driver) error {
	return func(ctx context.Context, d *auditdriver.Driver) error {
		_, err := d.List(ctx, &q, from, page)
		return err
	}
}

func planTests(some audit.Record) map[string]planTest {
	day := audit.Window{Since: january(20), Until: january(21)}
	deep := &auditdriver.Position{DecisionTimestamp: january(2)} // more than 9,000 pages down
	acme, rare := audit.Tenant("tenant-acme"), audit.Tenant(seed.RareTenant)
	tests := map[string]planTest{
		"get": {indexes: []string{primaryKey}, maxRows: 1, call: func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.Get(ctx, audit.AllTenants(), some.AuditID)
			return err
		}},
		"get many": {indexes: []string{primaryKey}, maxRows: 1, call: func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.GetMany(ctx, audit.AllTenants(), []uuid.UUID{some.AuditID, uuid.Max})
			return err
		}},
		"list a tenant":                 {list(audit.Query{Scope: acme}, nil), []string{scopeIndex}, reads},
		"list a tenant, oldest first":   {list(audit.Query{Scope: acme, Order: audit.OldestFirst}, nil), []string{scopeIndex}, reads},
		"list a tenant, a deep page":    {list(audit.Query{Scope: acme}, deep), []string{scopeIndex}, reads},
		"list a tenant, in a window":    {list(audit.Query{Scope: acme, Window: day}, nil), []string{scopeIndex}, reads},
		"list a rare tenant":            {list(audit.Query{Scope: rare}, nil), []string{scopeIndex}, million / seed.RareEvery},
		"list no tenant":                {list(audit.Query{Scope: audit.NoTenant()}, nil), []string{scopeIndex}, reads},
		"list all":                      {list(audit.Query{Scope: audit.AllTenants()}, nil), []string{timeIndex}, reads},
		"list all, oldest first":        {list(audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst}, nil), []string{timeIndex}, reads},
		"list all, a deep page":         {list(audit.Query{Scope: audit.AllTenants()}, deep), []string{timeIndex}, reads},
		"list an envelope":              {list(audit.Query{Scope: acme, EnvelopeIDs: []string{"envelope-007"}}, nil), []string{envelopeIndex}, 0},
		"list by conflicting envelope":  {list(audit.Query{Scope: acme, ConflictingEnvelopeID: "envelope-008"}, nil), []string{conflictingIndex}, 0},
		"list by preemptor":             {list(audit.Query{Scope: acme, PreemptingEnvelopeID: "envelope-008"}, nil), []string{preemptingIndex}, 0},
		"list a rare tenant's rejected": {list(audit.Query{Scope: rare, Decisions: []audit.Decision{audit.Rejected}}, nil), []string{scopeIndex}, million / seed.RareEvery},
	}
	for name, scope := range map[string]audit.Scope{"tenant": acme, "all": audit.AllTenants()} {
		index := map[string]string{"tenant": scopeIndex, "all": timeIndex}[name]
		tests["timeline, "+name] = planTest{indexes: []string{conflictingIndex, envelopeIndex, preemptingIndex}, call: func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.Timeline(ctx, &audit.TimelineQuery{Scope: scope, EnvelopeID: "envelope-008"}, nil, page)
			return err
		}}
		tests["count a day, "+name] = planTest{indexes: []string{index}, call: func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.Count(ctx, &audit.Query{Scope: scope, Window: day})
			return err
		}}
		tests["breakdown of a day, "+name] = planTest{indexes: []string{index}, call: func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.Breakdown(ctx, &audit.BreakdownQuery{Scope: scope, Window: day})
			return err
		}}
		tests["trend of three days, "+name] = planTest{indexes: []string{index}, call: func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.Trend(ctx, &audit.TrendQuery{Scope: scope, MinRecords: 3, MaxEvidence: 20}, []time.Time{january(18), january(19), january(20), january(21)})
			return err
		}}
	}
	maps.Copy(tests, linkTests(some))
	return tests
}

// linkTests follow links backwards.
func linkTests(some audit.Record) map[string]planTest {
	day := audit.Window{Since: january(12), Until: january(13)}
	tests := map[string]planTest{}
	for name, scope := range map[string]audit.Scope{"tenant": audit.Tenant("tenant-acme"), "all": audit.AllTenants()} {
		for orderName, order := range map[string]audit.Order{"": audit.NewestFirst, ", oldest first": audit.OldestFirst} {
			caused, corrected := audit.Query{Scope: scope, Order: order, CausedBy: linkedID()}, audit.Query{Scope: scope, Order: order, Corrects: linkedID()}
			tests["list what one record caused, "+name+orderName] = planTest{list(caused, nil), []string{causedByIndex}, reads}
			caused.Window = day
			tests["list what one record caused, in a window, "+name+orderName] = planTest{list(caused, nil), []string{causedByIndex}, reads}
			caused.CausedBy, caused.Window = some.AuditID, audit.Window{}
			tests["list what a record caused, "+name+orderName] = planTest{list(caused, nil), []string{causedByIndex}, 1}
			tests["list what corrects a record, "+name+orderName] = planTest{list(corrected, nil), []string{correctsIndex}, corrections}
		}
		for index, q := range map[string]audit.Query{causedByIndex: {Scope: scope, CausedBy: linkedID()}, correctsIndex: {Scope: scope, Corrects: linkedID()}} {
			tests["count through "+index+", "+name] = planTest{indexes: []string{index}, maxRows: causes, call: func(ctx context.Context, d *auditdriver.Driver) error {
				_, err := d.Count(ctx, &q)
				return err
			}}
		}
	}
	return tests
}

// The predecessor's coordinator rejected envelopes because of themselves, for months. Each
// such record is in two of the timeline's indexes and is one entry of the timeline.
func TestTimelineOfSelfConflicts(t *testing.T) {
	t.Parallel()
	const rejections = 20_000
	db := testdb.New(t)
	for _, sql := range []string{
		`INSERT INTO coordination_audit_records
			(audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, tenant_id)
			SELECT gen_random_uuid(), 'self', 'COST', 'REJECTED', 'already active', '2026-01-01'::timestamptz + n * interval '1 minute', 'self', 'acme'
			FROM generate_series(1, ` + strconv.Itoa(rejections) + `) AS n`,
		"VACUUM ANALYZE coordination_audit_records",
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	trail := &workbench{url: db.URL}
	var found []audit.Record
	sent := trail.statementsOf(t, func(ctx context.Context, d *auditdriver.Driver) (err error) {
		found, err = d.Timeline(ctx, &audit.TimelineQuery{Scope: audit.Tenant("acme"), EnvelopeID: "self"}, nil, page)
		return err
	})
	if len(found) != page {
		t.Errorf("%d records, want a page of %d", len(found), page)
	}
	for i := 1; i < len(found); i++ {
		if found[i].Seq != found[i-1].Seq+1 {
			t.Fatalf("record %d comes after %d", found[i].Seq, found[i-1].Seq)
		}
	}
	if plan := trail.explain(t, sent[0]); plan.rowsRead > 3*page {
		t.Errorf("%d rows read, want a page of each index at most\n%s", plan.rowsRead, plan.text)
	}
}

// Signals read their own window through an index, also where the planner alone would read all
// records: a week of them has a quarter of the table. Nothing is promised about the earlier records that
// friction looks up.
func TestSignalsUseIndexes(t *testing.T) {
	t.Parallel()
	bench := seeded(t)
	for name, test := range map[string]struct {
		window  audit.Window
		maxRows int
	}{
		"a day":  {audit.Window{Since: january(20), Until: january(21)}, million / 5}, // a thirtieth, and friction also reads the day before
		"a week": {audit.Window{Since: january(20), Until: january(27)}, million * 3 / 5},
	} {
		for scope, index := range map[audit.Scope]string{audit.Tenant("tenant-acme"): scopeIndex, audit.AllTenants(): timeIndex} {
			t.Run(fmt.Sprintf("%s of %s", name, scope), func(t *testing.T) {
				t.Parallel()
				query := audit.SignalQuery{Scope: scope, Window: test.window}.WithDefaults()
				sent := bench.statementsOf(t, func(ctx context.Context, d *auditdriver.Driver) error {
					_, err := d.Signals(ctx, &query)
					return err
				})
				if len(sent) != 6 { // no cycle is among them, so none needs its evidence
					t.Fatalf("%d statements, want one a signal", len(sent))
				}
				for _, statement := range sent {
					plan := bench.explain(t, statement)
					if !slices.Contains(plan.indexes, index) || plan.seqScans > 0 || plan.rowsRead > test.maxRows {
						t.Errorf("%v, %d sequential scans, %d rows read, want %s, none, %d at most\n%s",
							plan.indexes, plan.seqScans, plan.rowsRead, index, test.maxRows, plan.text)
					}
					// The plan is made before it is known whether an envelope is in question.
					if strings.HasPrefix(statement.sql, "-- name: ListFriction ") && !strings.Contains(plan.text, "One-Time Filter") {
						t.Errorf("the classes of no envelope are read\n%s", plan.text)
					}
				}
			})
		}
	}
}

// A prepared statement may get a generic plan from its sixth execution on. That plan must be
// as good for the listings that are prepared. The others must not be prepared.
func TestCachedPlanFitsRareTenant(t *testing.T) {
	t.Parallel()
	bench := seeded(t)
	rare := audit.Query{Scope: audit.Tenant(seed.RareTenant)}
	for _, order := range []audit.Order{audit.NewestFirst, audit.OldestFirst} {
		rare.Order = order
		sent := bench.statementsOf(t, func(ctx context.Context, d *auditdriver.Driver) error {
			_, err := d.List(ctx, &rare, nil, 101)
			return err
		})
		plan := bench.explainGeneric(t, sent[0])
		if !slices.Equal(plan.indexes, []string{scopeIndex}) || plan.rowsRead > million/seed.RareEvery {
			t.Errorf("the generic plan reads %d rows through %v\n%s", plan.rowsRead, plan.indexes, plan.text)
		}
	}

	driver, pool := bench.driver(t)
	everyones := audit.Query{Scope: audit.AllTenants(), ReasonContains: "in no reason", Window: audit.Window{Since: january(20), Until: january(21)}}
	rare.Decisions = []audit.Decision{audit.Rejected}
	for i := range 20 { // the costly ones first, so that a generic plan would look cheap
		query := rare
		if i < 6 {
			query = everyones
		}
		if _, err := driver.List(t.Context(), &query, nil, 101); err != nil {
			t.Fatal(err)
		}
		if _, err := driver.Timeline(t.Context(), &audit.TimelineQuery{Scope: rare.Scope, EnvelopeID: "envelope-008"}, nil, 101); err != nil {
			t.Fatal(err)
		}
	}
	var prepared int
	err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE statement ~ '^-- name: List(Filtered|Timeline)'").Scan(&prepared)
	if err != nil || prepared != 0 {
		t.Errorf("%d statements are prepared whose best plan depends on their values, %v", prepared, err)
	}
}

func january(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
