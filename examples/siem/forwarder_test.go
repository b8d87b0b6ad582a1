package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// siem is an endpoint that counts what it has.
type siem struct {
	*httptest.Server
	answer atomic.Int64 // a status instead of 204

	mu    sync.Mutex
	times map[uuid.UUID]int
}

func newSIEM(t *testing.T) *siem {
	t.Helper()
	s := &siem{times: map[uuid.UUID]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(s.Close)
	return s
}

func (s *siem) take(w http.ResponseWriter, r *http.Request) {
	if status := s.answer.Load(); status != 0 {
		w.WriteHeader(int(status))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		var rec struct {
			AuditID uuid.UUID `json:"audit_id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.times[rec.AuditID]++
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *siem) has() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

func (s *siem) twice() (twice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.times {
		if n > 1 {
			twice++
		}
	}
	return twice
}

func forwarding(t *testing.T, store *coordaudit.Store, s *siem, cursor string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := forwarder{store: store, client: s.Client(), endpoint: s.URL, cursor: cursor, poll: 10 * time.Millisecond}
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx) }()
	return func() error { cancel(); return <-ended }
}

// The endpoint gets every record, over the deaths of the forwarder and of the database, and
// over its own. What was delivered before a stop does not come again.
func TestForwarderLosesNothing(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db, s, cursor := testdb.NewOn(t, server), newSIEM(t), filepath.Join(t.TempDir(), "cursor")
	config := fixture.Quiet()
	config.Timeout = time.Minute
	store := coordaudit.New(db.Pool, config)
	stored := 0
	persist := func(n int) {
		t.Helper()
		if _, err := store.PersistMany(t.Context(), fixture.NewRecords(n)); err != nil {
			t.Fatal(err)
		}
		stored += n
	}
	// What the endpoint has comes again if the forwarder is stopped before it has kept its place.
	all := func() bool {
		from, err := (&forwarder{cursor: cursor}).load()
		if err != nil || s.has() != stored {
			return false
		}
		page, err := store.FollowPage(t.Context(), audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromCursor(from), Limit: 1})
		return err == nil && len(page.Records) == 0
	}

	persist(1200)
	stop := forwarding(t, store, s, cursor)
	fixture.Eventually(t, all)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	persist(10) // while it is stopped
	stop = forwarding(t, store, s, cursor)
	fixture.Eventually(t, all)

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.Pool.Reset()
	persist(10)
	fixture.Eventually(t, all)

	s.answer.Store(http.StatusServiceUnavailable)
	persist(10)
	time.Sleep(50 * time.Millisecond)
	s.answer.Store(0)
	fixture.Eventually(t, all)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := s.twice(); n > 0 {
		t.Errorf("%d records came twice", n)
	}
}

// A batch that the endpoint refuses ends the forwarder, and is not skipped.
func TestForwarderSkipsNothing(t *testing.T) {
	t.Parallel()
	db, s, cursor := testdb.New(t), newSIEM(t), filepath.Join(t.TempDir(), "cursor")
	store := coordaudit.New(db.Pool, fixture.Quiet())
	fixture.MustPersist(t, store, fixture.NewRecord())
	s.answer.Store(http.StatusUnprocessableEntity)
	f := forwarder{store: store, client: s.Client(), endpoint: s.URL, cursor: cursor, poll: 10 * time.Millisecond}
	if err := f.run(t.Context()); !errors.Is(err, errRefused) {
		t.Fatalf("%v, want that it is refused", err)
	}
	s.answer.Store(0)
	stop := forwarding(t, store, s, cursor)
	fixture.Eventually(t, func() bool { return s.has() == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// A cursor that is damaged is refused, and nothing is sent.
func TestForwarderRefusesDamagedCursor(t *testing.T) {
	t.Parallel()
	db, s, cursor := testdb.New(t), newSIEM(t), filepath.Join(t.TempDir(), "cursor")
	f := forwarder{store: coordaudit.New(db.Pool, fixture.Quiet()), client: s.Client(), endpoint: s.URL, cursor: cursor, poll: time.Millisecond}
	if err := f.save("damaged"); err != nil {
		t.Fatal(err)
	}
	if err := f.run(t.Context()); !errors.Is(err, audit.ErrInvalidQuery) {
		t.Errorf("%v, want ErrInvalidQuery", err)
	}
}
