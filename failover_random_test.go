package coordaudit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// failoversVariable sets the number of synchronous failovers in one test.
const failoversVariable = "COORDAUDIT_FAILOVERS"

// The standby hangs, is cut off or keeps up when the primary is killed at a random time. The promoted
// standby has each acknowledged record once.
func TestSyncFailoversLoseNothing(t *testing.T) {
	t.Parallel()
	rounds := 2
	if text := os.Getenv(failoversVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s is %q, want a number of failovers", failoversVariable, text)
		}
		rounds = n
	}
	p := testdb.StartPair(t, true)
	settings := coordaudit.RecorderConfig{SpoolDir: filepath.Join(t.TempDir(), "spool"), WaitTimeout: time.Second}
	var all acknowledgements
	for round := range rounds {
		if round > 0 {
			p.AddStandby(t, true)
		}
		w := startWriters(t, p.Primary.URL(), settings, &all)
		time.Sleep(randomMoment())
		strike(t, p, round)
		time.Sleep(randomMoment())
		if err := p.Primary.Kill(); err != nil {
			t.Fatal(err)
		}
		w.stop(t)
		p.FailOver(t)

		next := startRecorder(t, fixture.OpenStore(t, p.Primary.URL(), fixture.Quiet()), settings)
		fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
		if err := next.Close(t.Context()); err != nil {
			t.Error(err)
		}
		requireStored(t, p, all.recs)
	}
	if len(all.recs) < 10*rounds {
		t.Errorf("%d records acknowledged over %d failovers, too few to prove anything", len(all.recs), rounds)
	}
	t.Logf("%d records acknowledged over %d failovers", len(all.recs), rounds)
}

// strike picks one of the faults that standbys have.
func strike(t *testing.T, p *testdb.Pair, round int) {
	t.Helper()
	kind := rand.IntN(4)
	if round == 0 {
		kind = 1
	}
	switch kind {
	case 0: // it keeps up
		return
	case 1: // it hangs
		if err := p.Standby.Freeze(); err != nil {
			t.Fatal(err)
		}
	case 2: // it is cut off
		if err := p.Standby.Freeze(); err != nil {
			t.Fatal(err)
		}
		onPrimary(t, p, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
	case 3: // it hangs, and an administrator cancels the commits that wait for it
		if err := p.Standby.Freeze(); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			onPrimary(t, p, "SELECT pg_cancel_backend(pid), pg_sleep(0.02) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		}
	}
}

func onPrimary(t *testing.T, p *testdb.Pair, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.Primary.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

type acknowledgements struct {
	mu   sync.Mutex
	recs []audit.Record
}

func (a *acknowledgements) add(rec audit.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.recs = append(a.recs, rec)
}

// writers make every call until they are stopped. After a failure they try the same record again, as a
// caller would.
type writers struct {
	recorder *coordaudit.Recorder
	end      context.CancelFunc
	running  sync.WaitGroup
}

func startWriters(t *testing.T, url string, settings coordaudit.RecorderConfig, all *acknowledgements) *writers {
	t.Helper()
	config := fixture.Quiet()
	config.Timeout, config.RetryDelay = 150*time.Millisecond, 10*time.Millisecond
	store := fixture.OpenStore(t, url, config)
	ctx, cancel := context.WithCancel(t.Context())
	w := &writers{recorder: startRecorder(t, store, settings), end: cancel}
	for _, way := range ownWays() {
		for range 2 {
			w.running.Go(func() {
				for rec := fixture.NewRecord(); ctx.Err() == nil; {
					if outcome, err := way.persist(ctx, store, rec); err == nil && outcome != "" {
						all.add(rec)
						rec = fixture.NewRecord()
					}
				}
			})
		}
	}
	w.running.Go(func() {
		for ctx.Err() == nil {
			rec := fixture.NewRecord()
			if _, err := w.recorder.Record(ctx, rec); err == nil || errors.Is(err, audit.ErrPending) {
				all.add(rec) // stored, or spooled until it is
			}
		}
	})
	w.running.Go(func() {
		for ctx.Err() == nil {
			rec := fixture.NewRecord()
			if err := w.recorder.Enqueue(rec); err == nil {
				all.add(rec)
			}
			time.Sleep(time.Millisecond)
		}
	})
	return w
}

// stop ends the writers and closes the Recorder, which spools what is not stored.
func (w *writers) stop(t *testing.T) {
	t.Helper()
	w.end()
	w.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := w.recorder.Close(ctx); err != nil {
		t.Errorf("Close() = %v", err)
	}
}
