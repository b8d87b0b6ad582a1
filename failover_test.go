package coordaudit_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The standby is silent, so no commit is replicated. No call may acknowledge a record, regardless of what
// ends the wait of the commit. Records acknowledged before survive the failover.
func TestUnreplicatedCommitIsDoubt(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, true)
	config := fixture.Quiet()
	config.Retries = -1
	patient := config
	config.Timeout, patient.Timeout = time.Second, time.Minute
	hasty, waiting := fixture.OpenStore(t, p.Primary.URL(), config), fixture.OpenStore(t, p.Primary.URL(), patient)

	var acknowledged, doubtful []audit.Record
	for _, w := range ownWays() {
		rec := fixture.NewRecord()
		if outcome, err := w.persist(t.Context(), waiting, rec); outcome != audit.Persisted || err != nil {
			t.Fatalf("%s() = %s, %v; want Persisted", w.name, outcome, err)
		}
		acknowledged = append(acknowledged, rec)
	}
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}

	for _, w := range ownWays() {
		rec := fixture.NewRecord()
		wantDoubt(t, w, hasty, rec, "its own time is up")
		wantDoubt(t, w, hasty, rec, "it finds its own row, which is not replicated")
		for name, end := range map[string]string{
			"another session cancels its wait":    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
			"another session ends its own one":    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
			"another cancels the wait of a retry": "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
		} {
			other := fixture.NewRecord()
			if name == "another cancels the wait of a retry" {
				other = rec
			}
			var ended sync.WaitGroup
			ended.Go(func() { wantDoubt(t, w, waiting, other, name) })
			p.Await(t, end)
			ended.Wait()
			doubtful = append(doubtful, other)
		}
		doubtful = append(doubtful, rec)
	}
	wantCommitWaits(t, p, waiting, doubtful[0])

	// The standby is back, and the same calls end the doubt.
	if err := p.Standby.Thaw(); err != nil {
		t.Fatal(err)
	}
	for _, rec := range doubtful {
		if outcome, err := ownWays()[0].persist(t.Context(), waiting, rec); outcome != audit.AlreadyPersisted || err != nil {
			t.Errorf("Persist() again = %s, %v; want AlreadyPersisted", outcome, err)
		}
	}
	p.FailOver(t)
	requireStored(t, p, append(acknowledged, doubtful...))
}

func wantDoubt(t *testing.T, w way, store *coordaudit.Store, rec audit.Record, when string) {
	t.Helper()
	outcome, err := w.persist(t.Context(), store, rec)
	if outcome != "" || !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("%s() when %s = %q, %v; want ErrOutcomeUnknown", w.name, when, outcome, err)
	}
}

// A caller's transaction persists only a record that is stored already. Its commit must still wait for
// the standby.
func wantCommitWaits(t *testing.T, p *testdb.Pair, store *coordaudit.Store, rec audit.Record) {
	t.Helper()
	tx, err := p.Open(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	result, err := store.PersistTx(t.Context(), tx, rec)
	if err != nil || result.Outcome != audit.AlreadyPersisted {
		t.Errorf("PersistTx() = %+v, %v; want AlreadyPersisted", result, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := tx.Commit(ctx); err == nil {
		t.Error("the caller's commit was answered, and no standby has the record")
	}
}

// On a caller's pool the store always knows its own cancels. After ConfigurePool it also notices those of
// others, regardless of client_min_messages.
func TestConfiguredPoolNoticesCancel(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, true)
	admin := p.Open(t)
	for _, sql := range []string{
		"CREATE ROLE hushed LOGIN",
		"ALTER ROLE hushed SET client_min_messages = 'error'",
		"GRANT INSERT, SELECT ON coordination_audit_records TO hushed",
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	config, err := pgxpool.ParseConfig(p.Primary.URL())
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.User = "hushed"
	coordaudit.ConfigurePool(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	patient := fixture.Quiet()
	patient.Timeout, patient.Retries = time.Minute, -1
	store := coordaudit.New(pool, patient)
	if _, err := store.Persist(t.Context(), fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	for _, w := range ownWays() {
		var ended sync.WaitGroup
		ended.Go(func() { wantDoubt(t, w, store, fixture.NewRecord(), "another session cancels its wait") })
		p.Await(t, "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		ended.Wait()
	}
}

// Another user of the connection hides the server's warning, after the pool was configured. The absence of
// the warning then proves nothing.
func TestLeftoverHushHidesNoCancel(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, true)
	pool := fixture.OpenPool(t, p.Primary.URL(), func(config *pgxpool.Config) {
		config.MaxConns = 1
		coordaudit.ConfigurePool(config)
	})
	patient := fixture.Quiet()
	patient.Timeout, patient.Retries = time.Minute, -1
	store := coordaudit.New(pool, patient)
	fixture.MustPersist(t, store, fixture.NewRecord())
	fixture.MustExec(t, pool, "SET client_min_messages = error")
	for _, w := range ownWays() { // while the standby answers, the second commit confirms the first
		if outcome, err := w.persist(t.Context(), store, fixture.NewRecord()); outcome != audit.Persisted || err != nil {
			t.Errorf("%s() = %s, %v; want Persisted", w.name, outcome, err)
		}
	}
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	admin := p.Open(t)
	for _, w := range ownWays() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			wantDoubt(t, w, store, fixture.NewRecord(), "another session cancels its waits unheard")
		}()
		for waits := true; waits; { // the record's commit, and the one that confirms it
			fixture.QueryInt(t, admin, "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
			select {
			case <-ended:
				waits = false
			default:
			}
		}
	}
}

// A Recorder keeps records that are in doubt, across a failover and across its own end.
func TestRecorderKeepsUnreplicated(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, true)
	config := fixture.Quiet()
	config.Timeout = 500 * time.Millisecond
	settings := coordaudit.RecorderConfig{
		SpoolDir:      filepath.Join(t.TempDir(), "spool"),
		WaitTimeout:   time.Second,
		RetryBudget:   time.Minute, // it keeps trying the database
		MaxRetryDelay: 200 * time.Millisecond,
	}
	old := startRecorder(t, fixture.OpenStore(t, p.Primary.URL(), config), settings)
	recs := fixture.NewRecords(20)
	if _, err := old.Record(t.Context(), recs[0]); err != nil {
		t.Fatal(err)
	}
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for i, rec := range recs[1:] {
		if i%2 == 0 {
			if err := old.Enqueue(rec); err != nil {
				t.Errorf("Enqueue() = %v", err)
			}
			continue
		}
		waiting.Go(func() {
			if result, err := old.Record(t.Context(), rec); !errors.Is(err, audit.ErrPending) {
				t.Errorf("Record() = %+v, %v; want ErrPending", result, err)
			}
		})
	}
	waiting.Wait()
	fixture.EventuallyWithin(t, time.Minute, func() bool { return old.Stats().Retries >= 3 })
	if total := old.Stats().Total(); total.Accepted != 20 || total.Persisted+total.AlreadyPersisted != 1 || total.AccountedFor() != 20 {
		t.Errorf("with the standby away: %+v, want 1 of 20 stored", total)
	}

	closing, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := old.Close(closing); err != nil {
		t.Errorf("Close() = %v", err)
	}
	p.FailOver(t)
	next := startRecorder(t, fixture.OpenStore(t, p.Primary.URL(), fixture.Quiet()), settings)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	if total := next.Stats().Total(); total.Accepted != 19 || total.Persisted+total.AlreadyPersisted != 19 {
		t.Errorf("after the failover: %+v, want 19 stored", total)
	}
	requireStored(t, p, recs)
}

// An asynchronous standby may lack acknowledged records. No client can prevent that. The store notices
// that another server answers, counts it, and logs the time of the last acknowledgement.
func TestAsyncFailoverIsNoticed(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, false)
	var log fixture.Log
	config := fixture.Quiet()
	config.Logger, config.Timeout = log.Logger(), 10*time.Second
	url := p.URLOfBoth()
	store := fixture.OpenStore(t, url, config)
	recorder := startRecorder(t, store, coordaudit.RecorderConfig{SpoolDir: filepath.Join(t.TempDir(), "spool")})
	started := time.Now()
	// Its first statement is acknowledged, too, whenever it comes.
	fixture.EventuallyTrue(t, fixture.OpenPool(t, p.Primary.URL(), nil), time.Minute, "SELECT EXISTS (SELECT FROM coordination_audit_statements)")
	for range 3 {
		if _, err := store.Persist(t.Context(), fixture.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.Failovers(); n != 0 {
		t.Errorf("%d failovers before the first", n)
	}
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	lost := fixture.NewRecord()
	if _, err := store.Persist(t.Context(), lost); err != nil {
		t.Fatalf("an asynchronous standby must not block a call: %v", err)
	}
	acknowledged := time.Now()
	p.FailOver(t)

	rec := fixture.NewRecord()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		_, err := store.Persist(t.Context(), rec)
		return err == nil
	})
	if n, m := store.Failovers(), recorder.Stats().Failovers; n != 1 || m != 1 {
		t.Errorf("the store counts %d failovers and its recorder %d, want 1", n, m)
	}
	events := log.Events(t, "audit_failover_noticed")
	if len(events) != 1 {
		t.Fatalf("events %v, want one audit_failover_noticed", events)
	}
	event := events[0]
	last, err := time.Parse(time.RFC3339Nano, event["last_acknowledged"].(string))
	if err != nil || last.Before(started.Truncate(time.Microsecond)) || last.After(acknowledged) {
		t.Errorf("last acknowledged at %v (%v), want it between %v and %v", last, err, started, acknowledged)
	}
	from, to := event["from"].(string), event["to"].(string)
	if !strings.HasSuffix(from, "/1") || !strings.HasSuffix(to, "/2") || strings.TrimSuffix(from, "/1") != strings.TrimSuffix(to, "/2") {
		t.Errorf("from %s to %s, want the same system with timelines 1 and 2", from, to)
	}
}
