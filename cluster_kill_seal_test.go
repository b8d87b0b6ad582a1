package coordaudit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// While nodes are killed, a sealer goes on, and a follower as well. After the recovery each record
// has one leaf, the log verifies, and each record came once.
//
//nolint:paralleltest // it kills the nodes that other tests use
func TestKilledClusterIsSealedAndFollowedOnce(t *testing.T) {
	kill := newKiller(t)
	db := testdb.NewOnCluster(t, true)
	tr := trailOn(db)
	nodes := nodesOf(t, db.Pool, "groupid >= 0")
	w := startClusterWriters(t, db.Pool)
	made, verify, export := newClusterSealer(t, tr)
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	var running sync.WaitGroup
	running.Go(func() {
		if err := made.Run(ctx); err != nil {
			t.Errorf("sealing: %v", err)
		}
	})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return made.Stats().Size > 0 })
	f := followCluster(ctx, t, tr, &running)
	for i := range kill.times {
		w.awaitMore(t)
		size := made.Stats().Size
		kill.node(t, nodes[i%len(nodes)])
		fixture.EventuallyWithin(t, 2*time.Minute, func() bool { return made.Stats().Size > size })
	}
	w.awaitMore(t)
	w.finish(t, db.Pool) // which recovers what is in doubt
	all := fixture.CountRecords(t, db.Pool)
	fixture.EventuallyWithin(t, 2*time.Minute, func() bool { return f.count() == all })
	stop()
	running.Wait()
	f.check(t)
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_seal_leaves WHERE kind = 1"); n != all {
		t.Errorf("%d leaves are listed, want one for each of %d records", n, all)
	}
	t.Logf("%d records, %d leaves", all, made.Stats().Size)
	mustVerifyCluster(t, tr, verify, export)
}

// clusterFollower counts how often each record came.
type clusterFollower struct {
	mu   sync.Mutex
	seen map[uuid.UUID]int
}

func followCluster(ctx context.Context, t *testing.T, tr *trail, running *sync.WaitGroup) *clusterFollower {
	t.Helper()
	f := &clusterFollower{seen: map[uuid.UUID]int{}}
	query := impatient()
	query.PollInterval = 20 * time.Millisecond
	running.Go(func() {
		for rec, err := range tr.store.Follow(ctx, query) {
			if err != nil {
				t.Errorf("following: %v", err)
				return
			}
			f.mu.Lock()
			f.seen[rec.AuditID]++
			f.mu.Unlock()
		}
	})
	return f
}

func (f *clusterFollower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func (f *clusterFollower) check(t *testing.T) {
	t.Helper()
	for id, n := range f.seen {
		if n != 1 {
			t.Errorf("record %s came %d times", id, n)
		}
	}
}
