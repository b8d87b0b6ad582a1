package coordinator_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
)

const (
	appliers       = 16
	requests       = 30 // of each applier
	parameterCount = 3
)

// Sixteen appliers in two services on one database compete for three parameters of two
// tenants. In any order, no decision is lost, and the trail replays exactly to the
// state table.
func TestConcurrentAppliers(t *testing.T) {
	t.Parallel()
	pool := database(t)
	services := []*coordinator.Coordinator{
		coordinator.New(pool, newStore(pool), coordinator.Config{}),
		coordinator.New(pool, newStore(pool), coordinator.Config{}),
	}
	returned := runAppliers(t, func(applier int, env coordinator.Envelope) (audit.Decision, error) {
		return services[applier%len(services)].Apply(t.Context(), env)
	})

	counts := map[audit.Decision]int{}
	for _, tenant := range []string{"acme", "globex"} {
		records := trailOf(t, pool, tenant)
		for _, record := range records {
			counts[record.Decision]++
		}
		if diff := cmp.Diff(active(t, pool, tenant), replay(t, records)); diff != "" {
			t.Errorf("%s: the state table (-) and the replayed trail (+) differ:\n%s", tenant, diff)
		}
	}
	if counts[preempted] == 0 || counts[rejected] == 0 {
		t.Errorf("no fight took place: %v", counts)
	}
	delete(counts, preempted) // no caller gets these
	if diff := cmp.Diff(returned, counts); diff != "" {
		t.Errorf("decisions returned (-) and on record (+) differ:\n%s", diff)
	}
	if sum := returned[applied] + returned[rejected]; sum != appliers*requests {
		t.Errorf("%d decisions for %d requests", sum, appliers*requests)
	}
}

// After KillSwitch has returned, nothing acts and nothing is applied, however many
// requests were in progress.
func TestConcurrentKillSwitch(t *testing.T) {
	t.Parallel()
	pool := database(t)
	c := coordinator.New(pool, newStore(pool), coordinator.Config{})
	var killed sync.Once
	runAppliers(t, func(applier int, env coordinator.Envelope) (audit.Decision, error) {
		env.TenantID = "acme"
		decision, err := c.Apply(t.Context(), env)
		if applier == 7 {
			killed.Do(func() {
				if _, err := c.KillSwitch(t.Context(), "acme"); err != nil {
					t.Error(err)
				}
				if got := active(t, pool, "acme"); got != nil {
					t.Errorf("after the kill %v act", got)
				}
			})
		}
		return decision, err
	})
	records := trailOf(t, pool, "acme")
	isKilled := func(r row) bool { return strings.HasPrefix(r.Reason, "Kill switch is on since ") }
	first := slices.IndexFunc(records, isKilled)
	if first < 0 || slices.ContainsFunc(records[first:], func(r row) bool { return !isKilled(r) }) {
		t.Errorf("of %d records the first of the kill is %d, and not all after it are", len(records), first)
	}
	if got := active(t, pool, "acme"); got != nil {
		t.Errorf("at the end %v act", got)
	}
}

// runAppliers lets each applier make its requests and counts the decisions that it
// gets.
func runAppliers(t *testing.T, apply func(applier int, env coordinator.Envelope) (audit.Decision, error)) map[audit.Decision]int {
	t.Helper()
	var mu sync.Mutex
	returned := map[audit.Decision]int{}
	var running sync.WaitGroup
	for applier := range appliers {
		running.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(applier)))
			for range requests {
				decision, err := apply(applier, randomEnvelope(random))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				returned[decision]++
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return returned
}

// randomEnvelope puts its target into its id, because a record does not hold it.
func randomEnvelope(random *rand.Rand) coordinator.Envelope {
	classes := audit.EnvelopeClasses()
	class := classes[random.IntN(len(classes))]
	target := fmt.Sprintf("s.p%d", random.IntN(parameterCount))
	env := envelope(fmt.Sprintf("%s/%s/%d", target, class, random.IntN(4)), class, target)
	env.TenantID = []string{"acme", "globex"}[random.IntN(2)]
	return env
}

// replay applies a tenant's records in order and checks that each follows from those
// before it.
func replay(t *testing.T, records []row) []string {
	t.Helper()
	holders := map[string]string{}
	successor := map[string]string{} // who must be next on a parameter that was just taken away
	for i, r := range records {
		target, _, _ := strings.Cut(r.Envelope, "/")
		holder, next := holders[target], successor[target]
		switch {
		case next != "" && (r.Decision != applied || r.Envelope != next):
			t.Errorf("record %d: %s %s, but %s was to take %s", i, r.Envelope, r.Decision, next, target)
		case r.Decision == preempted:
			if holder != r.Envelope {
				t.Errorf("record %d: %s was preempted, but %q held %s", i, r.Envelope, holder, target)
			}
			delete(holders, target)
			successor[target] = r.Preempting
		case r.Decision == applied:
			if holder != "" && holder != r.Envelope {
				t.Errorf("record %d: %s was applied while %s held %s", i, r.Envelope, holder, target)
			}
			holders[target] = r.Envelope
			delete(successor, target)
		case r.Class != audit.Unknown && r.Conflicting != holder:
			t.Errorf("record %d: %s was rejected for %q, but %q held %s", i, r.Envelope, r.Conflicting, holder, target)
		}
		if int(r.Active) != len(holders) {
			t.Errorf("record %d says that %d are active, the replay counts %d", i, r.Active, len(holders))
		}
	}
	var list []string
	for target, holder := range holders {
		list = append(list, holder+" "+target)
	}
	slices.Sort(list)
	return list
}

func trailOf(t *testing.T, pool *pgxpool.Pool, tenant string) []row {
	t.Helper()
	return query[row](t, pool, `
		SELECT envelope_id, envelope_class, decision, reason,
		    coalesce(conflicting_envelope_id, ''), coalesce(preempting_envelope_id, ''), active_envelopes_count
		FROM coordination_audit_records
		WHERE tenant_id = $1
		ORDER BY seq`, tenant)
}
