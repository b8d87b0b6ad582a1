package console_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// waiting counts the queries of records that run, which is to say wait for the lock.
const waiting = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND wait_event_type = 'Lock'`

// lockRecords makes every query of records wait until the returned function is called.
func (s *site) lockRecords(t *testing.T) (release func()) {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	release = func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }
	t.Cleanup(release)
	return release
}

// startAsking asks in the background, until leave is called.
func (s *site) startAsking(t *testing.T, path string) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	leave = func() { cancel(); <-done }
	t.Cleanup(leave)
	return leave
}

func (s *site) mustRun(t *testing.T, queries int) {
	t.Helper()
	fixture.EventuallyWithin(t, 20*time.Second, func() bool { return fixture.QueryInt(t, s.pool, waiting) == queries })
}

// A page that is left asks the server to end its query, on every page that asks for records.
func TestLeavingEndsTheQuery(t *testing.T) {
	t.Parallel()
	rec := decision("acme", "envelope")
	for _, path := range []string{"/records", "/records/" + rec.AuditID.String(), "/timeline?envelope=envelope", "/signals?since=1h", "/completeness?account=now"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			s.persist(t, rec)
			s.get(t, "/records").must(t, http.StatusOK) // the connection knows the trail
			s.lockRecords(t)
			leave := s.startAsking(t, path)
			s.mustRun(t, 1)
			leave()
			s.mustRun(t, 0)
		})
	}
}

func TestSlowQueryEndsByItself(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.QueryTimeout = 300 * time.Millisecond })
	s.persist(t, decision("acme", "envelope"))
	s.get(t, "/records").must(t, http.StatusOK)
	s.lockRecords(t)
	s.get(t, "/records").must(t, http.StatusGatewayTimeout, "takes too long", "shorter window")
	s.mustRun(t, 0)
}

// The console shows a limit of the server as its own.
func TestLimitOfTheServerIsShown(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	fixture.MustExec(t, s.pool, "ALTER DATABASE "+fixture.QueryText(t, s.pool, "SELECT quote_ident(current_database())")+" SET statement_timeout TO '200ms'")
	s.lockRecords(t)
	s.pool.Reset() // later sessions have the limit
	s.get(t, "/records").must(t, http.StatusGatewayTimeout, "takes too long")
}

// A lock that another session holds is no outage. What reads the log waits 10 s for it.
func TestLockIsSaid(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	signer, _ := newKey(t)
	s := openOn(t, db.Pool, nil)
	rec := decision("acme", "envelope")
	s.persist(t, rec)
	sealAll(t, db.Pool, signer)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // it only held the lock
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_seal_checkpoints IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(func() { s.get(t, "/seal").must(t, http.StatusOK, "Not known. Another session holds a lock") })
	both.Go(func() {
		s.get(t, "/records/"+rec.AuditID.String()+"/proof").must(t, http.StatusServiceUnavailable, "The database is busy", "Another session holds a lock")
	})
	both.Wait()
}
