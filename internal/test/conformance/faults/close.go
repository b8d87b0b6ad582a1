package faults

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func refusalSparesTransaction(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	store.Close()
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		_ = c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrClosed)
	}
	frame.Commit(t, tx)
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func endsOnSilentServer(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	store := fixture.OpenStore(t, proxy.URL(), frame.Impatient())
	fixture.MustPersist(t, store, fixture.NewRecord())
	proxy.Stall()
	var call sync.WaitGroup
	call.Go(func() { _, _ = store.Persist(t.Context(), fixture.NewRecord()) })
	_ = frame.Within(t, 15*time.Second+frame.Timeout+frame.Grace, func() error {
		store.Close()
		return nil
	})
	call.Wait()
}

func waitsForCalls(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, db.URL, fixture.Quiet())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				_, err := store.Persist(t.Context(), fixture.NewRecord())
				if errors.Is(err, audit.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("Persist() = %v, want success or ErrClosed", err)
					return
				}
			}
		})
	}
	fixture.Eventually(t, func() bool { return store.Stats().Total().Persisted > 50 })
	store.Close()
	all.Wait()
	if stats := store.Stats().Total(); int64(fixture.CountRecords(t, db.Pool)) != stats.Persisted {
		t.Errorf("%d rows, %d counted as persisted", fixture.CountRecords(t, db.Pool), stats.Persisted)
	}
}

func refusesAndCounts(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	store.Close()
	store.Close()
	if _, err := store.Persist(t.Context(), fixture.NewRecord()); !frame.IsClosed(err, "the audit store") {
		t.Errorf("Persist() = %v, want ErrClosed that names the store", err)
	}
	if _, err := store.PersistMany(t.Context(), fixture.NewRecords(2)); !frame.IsClosed(err, "the audit store") {
		t.Errorf("PersistMany() = %v, want ErrClosed that names the store", err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), uuid.New()); !frame.IsClosed(err, "the audit store") {
		t.Errorf("Get() = %v, want ErrClosed that names the store", err)
	}
	if got := store.Stats().Total(); got != (audit.Counts{Attempts: 3, Failed: 3}) {
		t.Errorf("counts %+v, want 3 failed", got)
	}
	if err := db.Pool.Ping(t.Context()); err != nil {
		t.Errorf("the caller's pool was closed: %v", err)
	}
}
