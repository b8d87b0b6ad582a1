package coordaudit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	// killVariable is a command that ends a node of the cluster with SIGKILL and starts it again.
	// It gets the node's host and port as its last two arguments.
	killVariable = "COORDAUDIT_TEST_CITUS_KILL"

	// killsVariable is how often each test kills. It defaults to 3.
	killsVariable = "COORDAUDIT_TEST_CITUS_KILLS"
)

//nolint:paralleltest // it kills the nodes that other tests use
func TestKilledWorkerOfAClusterLosesNothing(t *testing.T) { killNodes(t, "groupid > 0") }

//nolint:paralleltest // it kills the nodes that other tests use
func TestKilledCoordinatorOfAClusterLosesNothing(t *testing.T) { killNodes(t, "groupid = 0") }

// killNodes kills nodes one after the other while every way of writing is in use.
func killNodes(t *testing.T, which string) {
	t.Helper()
	kill := newKiller(t)
	db := testdb.NewOnCluster(t, true)
	nodes := nodesOf(t, db.Pool, which)
	w := startClusterWriters(t, db.Pool)
	for i := range kill.times {
		w.awaitMore(t)
		kill.node(t, nodes[i%len(nodes)])
	}
	w.awaitMore(t)
	w.finish(t, db.Pool)
}

// killer kills nodes by the command of the environment.
type killer struct {
	command string
	times   int
}

// newKiller skips a test where there is no such command.
func newKiller(t *testing.T) killer {
	t.Helper()
	testdb.NeedsCluster(t)
	k := killer{command: os.Getenv(killVariable), times: 3}
	if k.command == "" {
		t.Skip("needs a command that kills a node: " + killVariable)
	}
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if k.times, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", killsVariable, err)
		}
	}
	return k
}

func (k killer) node(t *testing.T, node [2]string) {
	t.Helper()
	kill := exec.CommandContext(t.Context(), "sh", "-c", k.command+` "$0" "$1"`, node[0], node[1])
	if output, err := kill.CombinedOutput(); err != nil {
		t.Fatalf("killing node %s:%s: %v: %s", node[0], node[1], err, output)
	}
}

func nodesOf(t *testing.T, pool *pgxpool.Pool, which string) (nodes [][2]string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT nodename, nodeport::text FROM pg_dist_node WHERE "+which+" ORDER BY nodeid")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var node [2]string
		if err := rows.Scan(&node[0], &node[1]); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return nodes
}

// clusterWriters write in every way, and note what is acknowledged and what fails.
type clusterWriters struct {
	recorder *coordaudit.Recorder
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string][]uuid.UUID // by the way
	failed       []audit.Record
}

func startClusterWriters(t *testing.T, pool *pgxpool.Pool) *clusterWriters {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	store := coordaudit.New(pool, fixture.Quiet())
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := &clusterWriters{recorder: recorder, stop: stop, acknowledged: map[string][]uuid.UUID{}}
	ways := map[string]struct {
		size, writers int
		persist       func(context.Context, []audit.Record) error
	}{
		"Persist": {1, 3, func(ctx context.Context, recs []audit.Record) error {
			_, err := store.Persist(ctx, recs[0])
			return err
		}},
		"PersistMany": {50, 2, func(ctx context.Context, recs []audit.Record) error {
			_, err := store.PersistMany(ctx, recs)
			return err
		}},
		"PersistManyFast": {50, 1, func(ctx context.Context, recs []audit.Record) error {
			_, err := store.PersistManyFast(ctx, recs)
			return err
		}},
		"Recorder": {1, 4, func(ctx context.Context, recs []audit.Record) error {
			_, err := recorder.Record(ctx, recs[0])
			return err
		}},
	}
	for name, way := range ways {
		for range way.writers {
			w.running.Go(func() {
				for ctx.Err() == nil {
					recs := fixture.NewRecords(way.size)
					w.note(name, recs, way.persist(ctx, recs))
				}
			})
		}
	}
	t.Cleanup(func() {
		stop()
		w.running.Wait()
	})
	return w
}

// note takes an answer down. A writer that failed waits a little, as one does.
func (w *clusterWriters) note(way string, recs []audit.Record, err error) {
	w.mu.Lock()
	if err == nil {
		for i := range recs {
			w.acknowledged[way] = append(w.acknowledged[way], recs[i].AuditID)
		}
	} else {
		w.failed = append(w.failed, recs...)
	}
	w.mu.Unlock()
	if err != nil {
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitMore waits until each way has stored something since.
func (w *clusterWriters) awaitMore(t *testing.T) {
	t.Helper()
	counts := func() map[string]int {
		w.mu.Lock()
		defer w.mu.Unlock()
		counts := map[string]int{}
		for way, ids := range w.acknowledged {
			counts[way] = len(ids)
		}
		return counts
	}
	before := counts()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		now := counts()
		for _, way := range []string{"Persist", "PersistMany", "PersistManyFast", "Recorder"} {
			if now[way] < before[way]+100 {
				return false
			}
		}
		return true
	})
	time.Sleep(randomMoment())
}

// finish checks the answers against the rows: what is acknowledged is there once after the
// recovery, and so is what failed after it was sent again.
func (w *clusterWriters) finish(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	w.stop()
	w.running.Wait()
	closing, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.recorder.Close(closing); err != nil {
		t.Errorf("closing the recorder: %v", err)
	}
	var all []uuid.UUID
	var told strings.Builder
	for way, ids := range w.acknowledged {
		all = append(all, ids...)
		fmt.Fprintf(&told, " %s %d,", way, len(ids))
	}
	before := missing(t, pool, all)
	recovered := fixture.QueryInt(t, pool, "SELECT recover_prepared_transactions()")
	t.Logf("acknowledged:%s failed %d; %d of the acknowledged were missing before %d prepared transactions were recovered", told.String(), len(w.failed), before, recovered)
	if n := missing(t, pool, all); n != 0 {
		t.Errorf("%d acknowledged records are missing", n)
	}
	store := coordaudit.New(pool, coordaudit.Config{Logger: fixture.Quiet().Logger, Timeout: 30 * time.Second})
	for start := 0; start < len(w.failed); start += 500 {
		if _, err := store.PersistMany(t.Context(), w.failed[start:min(start+500, len(w.failed))]); err != nil {
			t.Fatalf("sending again what failed: %v", err)
		}
	}
	for i := range w.failed {
		all = append(all, w.failed[i].AuditID)
	}
	if n := missing(t, pool, all); n != 0 {
		t.Errorf("%d records are missing after they were sent again", n)
	}
	if n := fixture.QueryInt(t, pool, "SELECT count(*) - count(DISTINCT audit_id) FROM coordination_audit_records"); n != 0 {
		t.Errorf("%d records are stored twice", n)
	}
}

// missing counts the ids that have no row.
func missing(t *testing.T, pool *pgxpool.Pool, ids []uuid.UUID) int {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT audit_id::text FROM coordination_audit_records")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		stored[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, id := range ids {
		if !stored[id.String()] {
			n++
		}
	}
	return n
}
