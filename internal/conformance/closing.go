package conformance

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
)

func closing() []promise {
	return []promise{
		{"CloseWaitsForTheCallsUnderWay", closeWaitsForTheCallsUnderWay},
		{"AClosedStoreRefusesAndCountsIt", aClosedStoreRefusesAndCountsIt},
		{"AClosedStoreRefusesInATransactionThatGoesOn", aClosedStoreRefusesInATransactionThatGoesOn},
		{"ClosingOnASilentServerEndsWithin15Seconds", closingOnASilentServerEndsWithin15Seconds},
	}
}

func aClosedStoreRefusesInATransactionThatGoesOn(t *testing.T, db Database) {
	store := newStore(db)
	tx := callersTx(t, db.Pool)
	store.Close()
	for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
		_ = c.wantFailure(t.Context(), t, newRecord(), audit.ErrClosed)
	}
	commit(t, tx)
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func closingOnASilentServerEndsWithin15Seconds(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, proxy.URL(), impatient())
	mustPersist(t, store, newRecord())
	proxy.Stall()
	var call sync.WaitGroup
	call.Go(func() { _, _ = store.Persist(t.Context(), newRecord()) })
	_ = within(t, 15*time.Second+timeout+grace, func() error {
		store.Close()
		return nil
	})
	call.Wait()
}

func closeWaitsForTheCallsUnderWay(t *testing.T, db Database) {
	store := openStore(t, db.URL, quiet())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				_, err := store.Persist(t.Context(), newRecord())
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
	eventually(t, func() bool { return store.Stats().Total().Persisted > 50 })
	store.Close()
	all.Wait()
	if stats := store.Stats().Total(); int64(countRecords(t, db.Pool)) != stats.Persisted {
		t.Errorf("%d rows, %d counted as persisted", countRecords(t, db.Pool), stats.Persisted)
	}
}

func aClosedStoreRefusesAndCountsIt(t *testing.T, db Database) {
	store := newStore(db)
	store.Close()
	store.Close()
	if _, err := store.Persist(t.Context(), newRecord()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Persist() = %v, want ErrClosed", err)
	}
	if _, err := store.PersistMany(t.Context(), newRecords(2)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("PersistMany() = %v, want ErrClosed", err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), uuid.New()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Get() = %v, want ErrClosed", err)
	}
	if got := store.Stats().Total(); got != (audit.Counts{Attempts: 3, Failed: 3}) {
		t.Errorf("counts %+v, want 3 failed", got)
	}
	if err := db.Pool.Ping(t.Context()); err != nil {
		t.Errorf("the caller's pool was closed: %v", err)
	}
}
