package coordinator_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	applied, rejected, preempted = audit.Applied, audit.Rejected, audit.Preempted

	retries = "retry.max_attempts"
	batches = "scheduler.batch_size"
)

// row is the comparable part of a record.
type row struct {
	Envelope    string
	Class       audit.EnvelopeClass
	Decision    audit.Decision
	Reason      string
	Conflicting string
	Preempting  string
	Active      int32
}

// ruleTest is one request and its result.
type ruleTest struct {
	before []coordinator.Envelope
	asks   coordinator.Envelope
	want   []row
	active []string
}

func (test ruleTest) run(t *testing.T) {
	t.Helper()
	pool := database(t)
	c := coordinator.New(pool, newStore(pool), coordinator.Config{Clock: clock})
	for _, env := range test.before {
		apply(t, c, env)
	}
	seen := len(trail(t, pool))
	decision := apply(t, c, test.asks)
	got := trail(t, pool)[seen:]
	if diff := cmp.Diff(test.want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if last := got[len(got)-1].Decision; decision != last {
		t.Errorf("Apply returned %s, the trail says %s", decision, last)
	}
	if diff := cmp.Diff(test.active, active(t, pool, "acme")); diff != "" {
		t.Errorf("active envelopes (-want +got):\n%s", diff)
	}
}

func TestApplyFollowsRules(t *testing.T) {
	t.Parallel()
	safe, cheap, fast := envelope("safe", audit.Safety, retries), envelope("cheap", audit.Cost, retries), envelope("fast", audit.Performance, retries)
	tests := map[string]ruleTest{
		"FreeParameter": {
			asks:   cheap,
			want:   []row{{"cheap", audit.Cost, applied, "Nothing else holds retry.max_attempts", "", "", 1}},
			active: []string{"cheap " + retries},
		},
		"AnotherParameterIsNoConflict": {
			before: []coordinator.Envelope{safe},
			asks:   envelope("cheap", audit.Cost, batches),
			want:   []row{{"cheap", audit.Cost, applied, "Nothing else holds scheduler.batch_size", "", "", 2}},
			active: []string{"cheap " + batches, "safe " + retries},
		},
		"HigherClassPreempts": {
			before: []coordinator.Envelope{fast},
			asks:   cheap,
			want: []row{
				{"fast", audit.Performance, preempted, "retry.max_attempts goes to cheap (COST)", "", "cheap", 0},
				{"cheap", audit.Cost, applied, "Outranks fast (PERFORMANCE) on retry.max_attempts", "", "", 1},
			},
			active: []string{"cheap " + retries},
		},
		"LowerClassIsRejected": {
			before: []coordinator.Envelope{safe},
			asks:   cheap,
			want:   []row{{"cheap", audit.Cost, rejected, "Same-parameter conflict: retry.max_attempts is held by safe (SAFETY)", "safe", "", 1}},
			active: []string{"safe " + retries},
		},
		"EqualClassIsRejected": {
			before: []coordinator.Envelope{safe},
			asks:   envelope("safe-too", audit.Safety, retries),
			want:   []row{{"safe-too", audit.Safety, rejected, "Same-parameter conflict: retry.max_attempts is held by safe (SAFETY)", "safe", "", 1}},
			active: []string{"safe " + retries},
		},
		"NoClassIsRejectedEvenOnAFreeParameter": {
			asks: envelope("mystery", "", retries),
			want: []row{{"mystery", audit.Unknown, rejected, "No class declared: an envelope must say what it optimizes for", "", "", 0}},
		},
		"UnknownClassIsNoClass": {
			asks: envelope("mystery", audit.Unknown, retries),
			want: []row{{"mystery", audit.Unknown, rejected, "No class declared: an envelope must say what it optimizes for", "", "", 0}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

func TestApplyAgain(t *testing.T) {
	t.Parallel()
	safe, cheap, fast := envelope("safe", audit.Safety, retries), envelope("cheap", audit.Cost, retries), envelope("fast", audit.Performance, retries)
	tests := map[string]ruleTest{
		"C2_ReapplyingOnTheSameParameterDoesNotRejectItself": {
			before: []coordinator.Envelope{safe},
			asks:   safe,
			want:   []row{{"safe", audit.Safety, applied, "Renewed: it holds retry.max_attempts already", "", "", 1}},
			active: []string{"safe " + retries},
		},
		"C3_ReapplyingOnAnotherParameterLeaksNoLock": {
			before: []coordinator.Envelope{safe},
			asks:   envelope("safe", audit.Safety, batches),
			want:   []row{{"safe", audit.Safety, rejected, "safe still holds retry.max_attempts: revert it first", "", "", 1}},
			active: []string{"safe " + retries},
		},
		"ADisplacedEnvelopeCannotComeBack": {
			before: []coordinator.Envelope{fast, cheap},
			asks:   fast,
			want:   []row{{"fast", audit.Performance, rejected, "Same-parameter conflict: retry.max_attempts is held by cheap (COST)", "cheap", "", 1}},
			active: []string{"cheap " + retries},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

func TestTenantsAreSeparate(t *testing.T) {
	t.Parallel()
	pool := database(t)
	c := coordinator.New(pool, newStore(pool), coordinator.Config{Clock: clock})
	for _, tenant := range []string{"acme", "globex", ""} {
		env := envelope("safe", audit.Safety, retries)
		env.TenantID = tenant
		if got := apply(t, c, env); got != applied {
			t.Errorf("tenant %q: %s, want APPLIED", tenant, got)
		}
	}
}

func TestScenario(t *testing.T) {
	t.Parallel()
	pool := database(t)
	if err := coordinator.Play(t.Context(), pool, newStore(pool), clock()); err != nil {
		t.Fatal(err)
	}
	counts := map[audit.Decision]int{}
	for _, record := range trail(t, pool) {
		counts[record.Decision]++
	}
	if diff := cmp.Diff(map[audit.Decision]int{applied: 8, rejected: 4, preempted: 1}, counts); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	want := []string{"load-shed-9 ingress.max_rps"}
	if diff := cmp.Diff(want, active(t, pool, "acme")); diff != "" {
		t.Errorf("acme's active envelopes (-want +got):\n%s", diff)
	}
}

// database has the schemas of the trail and the coordinator.
func database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := testdb.New(t).Pool
	if err := coordinator.CreateTables(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return pool
}

func clock() time.Time { return time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC) }

func newStore(pool *pgxpool.Pool) *coordaudit.Store {
	return coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
}

func envelope(id string, class audit.EnvelopeClass, target string) coordinator.Envelope {
	subsystem, parameter, _ := strings.Cut(target, ".")
	return coordinator.Envelope{ID: id, TenantID: "acme", Class: class, Subsystem: subsystem, Parameter: parameter}
}

func apply(t *testing.T, c *coordinator.Coordinator, env coordinator.Envelope) audit.Decision {
	t.Helper()
	decision, err := c.Apply(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

func trail(t *testing.T, pool *pgxpool.Pool) []row {
	t.Helper()
	return query[row](t, pool, `
		SELECT envelope_id, envelope_class, decision, reason,
		    coalesce(conflicting_envelope_id, ''), coalesce(preempting_envelope_id, ''), active_envelopes_count
		FROM coordination_audit_records
		ORDER BY seq`)
}

// active lists "envelope subsystem.parameter".
func active(t *testing.T, pool *pgxpool.Pool, tenant string) []string {
	t.Helper()
	var list []string
	for _, line := range query[struct{ Text string }](t, pool, `
		SELECT envelope_id || ' ' || subsystem || '.' || parameter
		FROM coordinator_active_envelopes
		WHERE tenant_id = $1
		ORDER BY envelope_id`, tenant) {
		list = append(list, line.Text)
	}
	return list
}

func query[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []T {
	t.Helper()
	rows, err := pool.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
