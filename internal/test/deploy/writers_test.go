package deploy_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// writers are the goroutines of services. They persist before, during and after a deploy.
type writers struct {
	pool *pgxpool.Pool
	stop chan struct{}
	all  sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string
	rounds       chan struct{} // one token for each round of calls
}

// startWriting starts the services that run on the schema of a version. It returns after every kind of
// call was acknowledged.
func startWriting(t *testing.T, url string, version int64) *writers {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url+"&pool_max_conns=8")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := &writers{pool: pool, stop: make(chan struct{}), rounds: make(chan struct{})}
	w.start(t, releaseFor(version, pool))
	w.awaitRounds(t)
	return w
}

// start adds the services of a release.
func (w *writers) start(t *testing.T, r release) {
	t.Helper()
	for _, write := range []write{persist, persist, persistTx, persistTx, persistMany, persistManyTx} {
		w.all.Go(func() {
			w.keep(t, func(ctx context.Context) ([]audit.Record, error) { return write(ctx, w.pool, r) })
		})
	}
}

// keep writes at least once, until it is stopped.
func (w *writers) keep(t *testing.T, write func(context.Context) ([]audit.Record, error)) {
	t.Helper()
	for {
		recs, err := write(t.Context())
		if err != nil {
			t.Errorf("a service's write failed: %v", err)
		} else {
			w.mu.Lock()
			for _, rec := range recs {
				w.acknowledged = append(w.acknowledged, rec.AuditID.String())
			}
			w.mu.Unlock()
		}
		select {
		case <-w.stop:
			return
		case w.rounds <- struct{}{}:
		case <-time.After(5 * time.Millisecond): // the load of a service, not of a benchmark
		}
	}
}

// awaitRounds waits until every writer has made a round.
func (w *writers) awaitRounds(t *testing.T) {
	t.Helper()
	for range 50 {
		select {
		case <-w.rounds:
		case <-time.After(time.Minute):
			t.Fatal("the writers stand still")
		}
	}
}

// mustHaveLostNothing lets the writers go on with the new schema, and starts services of both releases
// next to them, because a roll-out starts the current release and a rollback the previous one. Each
// makes each call at least once. Then it ends them all and compares. before is how many records there
// were when the writers started.
func (w *writers) mustHaveLostNothing(t *testing.T, before int) {
	t.Helper()
	w.awaitRounds(t)
	w.start(t, newCurrent(w.pool))
	w.start(t, previous{w.pool})
	w.awaitRounds(t)
	close(w.stop)
	w.all.Wait()
	rows, err := w.pool.Query(t.Context(), "SELECT audit_id::text FROM coordination_audit_records WHERE envelope_id = 'deploy' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(w.acknowledged)
	if diff := cmp.Diff(w.acknowledged, stored); diff != "" {
		t.Errorf("the stored records are not the acknowledged ones (-acknowledged +stored):\n%s", diff)
	}
	if n := count(t, w.pool, "SELECT count(*) FROM coordination_audit_records"); n != before+len(stored) {
		t.Errorf("%d records in all, want the %d from before and %d written since", n, before, len(stored))
	}
}

// write makes one call and returns the records that the call must store.
type write func(ctx context.Context, pool *pgxpool.Pool, r release) ([]audit.Record, error)

func persist(ctx context.Context, _ *pgxpool.Pool, r release) ([]audit.Record, error) {
	recs := newRecords(1)
	return recs, r.persist(ctx, recs[0])
}

func persistMany(ctx context.Context, _ *pgxpool.Pool, r release) ([]audit.Record, error) {
	recs := newRecords(3)
	return recs, r.persistMany(ctx, recs)
}

func persistTx(ctx context.Context, pool *pgxpool.Pool, r release) ([]audit.Record, error) {
	recs := newRecords(2)
	return recs, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, rec := range recs {
			if err := r.persistTx(ctx, tx, rec); err != nil {
				return err
			}
		}
		return nil
	})
}

func persistManyTx(ctx context.Context, pool *pgxpool.Pool, r release) ([]audit.Record, error) {
	recs := newRecords(3)
	return recs, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return r.persistManyTx(ctx, tx, recs) })
}

func newRecords(n int) []audit.Record {
	recs := fixture.NewRecords(n)
	for i := range recs {
		rec := &recs[i]
		rec.EnvelopeID, rec.EnvelopeClass, rec.TenantID = "deploy", audit.Cost, ""
		rec.Decision, rec.PreemptingEnvelopeID, rec.ActiveEnvelopesCount = audit.Preempted, "another", 2
		rec.Reason, rec.DecisionTimestamp = "preempted in the middle of a deploy", time.Now()
	}
	return recs
}
