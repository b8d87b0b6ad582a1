package coordaudit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// How fast a follower delivers what is there. COORDAUDIT_FOLLOWED is the number of records,
// 20,000 by default.
func BenchmarkFollowCatchUp(b *testing.B) {
	records := fixture.Size(b, followedVariable, 20_000)
	store, pool := benchStore(b)
	fixture.MustExec(b, pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		SELECT gen_random_uuid(), 'envelope-' || n % 1000, 'COST', 'APPLIED', 'applied: nothing stood in its way', now(), 'acme'
		FROM generate_series(1, $1::bigint) AS n`, records)
	var rates []float64
	for b.Loop() {
		begun, delivered := time.Now(), 0
		for _, err := range store.Follow(context.Background(), audit.FollowQuery{Scope: audit.AllTenants()}) {
			if err != nil {
				b.Fatal(err)
			}
			if delivered++; delivered == records {
				break
			}
		}
		rates = append(rates, float64(records)/time.Since(begun).Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(medianRate(rates), "records/s")
}

// How long after the answer to its commit a record is delivered, at 1,000 records a second.
func BenchmarkFollowLatency(b *testing.B) {
	store, _ := benchStore(b)
	answered := answers{times: map[uuid.UUID]time.Time{}}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var followers sync.WaitGroup
	var delays []time.Duration
	started := make(chan struct{})
	followers.Go(func() {
		q := audit.FollowQuery{Scope: audit.AllTenants(), PollInterval: 10 * time.Millisecond}
		for rec, err := range store.Follow(ctx, q) {
			if err != nil {
				b.Error(err)
				return
			}
			if rec.EnvelopeID == "first" {
				close(started)
				continue
			}
			delays = append(delays, answered.since(rec.AuditID))
		}
	})
	first := fixture.NewRecord()
	first.EnvelopeID = "first"
	fixture.MustPersist(b, store, first)
	<-started
	persistSteadily(b, store, &answered)
	time.Sleep(100 * time.Millisecond) // the last ones arrive
	stop()
	followers.Wait()
	slices.Sort(delays)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(delays[len(delays)*99/100].Microseconds())/1000, "p99-ms")
}

// persistSteadily persists a record each millisecond, by eight callers.
func persistSteadily(b *testing.B, store *coordaudit.Store, answered *answers) {
	b.Helper()
	due := make(chan struct{}, 1000)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range due {
				rec := fixture.NewRecord()
				if _, err := store.Persist(context.Background(), rec); err != nil {
					b.Error(err)
				}
				answered.note(rec.AuditID)
			}
		})
	}
	begun := time.Now()
	for n := 0; b.Loop(); n++ {
		time.Sleep(time.Until(begun.Add(time.Duration(n) * time.Millisecond)))
		due <- struct{}{}
	}
	close(due)
	callers.Wait()
}

// answers are the moments at which records were acknowledged.
type answers struct {
	mu    sync.Mutex
	times map[uuid.UUID]time.Time
}

func (a *answers) note(id uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, delivered := a.times[id]; !delivered {
		a.times[id] = time.Now()
	}
}

// since is how long ago a record was acknowledged: 0 if it is delivered before its caller has
// the answer.
func (a *answers) since(id uuid.UUID) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.times[id]
	if !ok {
		a.times[id] = time.Now()
		return 0
	}
	return time.Since(at)
}
