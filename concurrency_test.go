package coordaudit_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

func TestTheSameIDsFromManyGoroutinesAreStoredOnce(t *testing.T) {
	t.Parallel()
	const goroutines, ids = 32, 1000
	db := testdb.New(t)
	config := quiet()
	config.Timeout = time.Minute // contention on two slow cores is not what is tested
	store := openStore(t, db.URL+"&pool_max_conns=16", config)
	recs := newRecords(ids)

	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range recs {
				// Each begins elsewhere, so that they meet at every id.
				rec := recs[(i+g*ids/goroutines)%ids]
				if _, err := store.Persist(t.Context(), rec); err != nil {
					t.Errorf("Persist() = %v", err)
				}
			}
		})
	}
	all.Wait()
	want := audit.Counts{Attempts: goroutines * ids, Persisted: ids, AlreadyPersisted: (goroutines - 1) * ids}
	if got := store.Stats().Total(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if n := countRecords(t, db.Pool); n != ids {
		t.Errorf("%d rows, want %d", n, ids)
	}
}

// Batches that meet in different orders deadlock; the server ends one of them,
// and its retry finds the other's rows.
func TestOverlappingBatchesStoreEachRecordOnce(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	config := quiet()
	config.Timeout = time.Minute
	config.Retries = 10
	store := openStore(t, db.URL+"&pool_max_conns=8", config)
	forward := newRecords(200)
	backward := make([]audit.Record, len(forward))
	for i, rec := range forward {
		backward[len(forward)-1-i] = rec
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			if _, err := store.PersistMany(t.Context(), [][]audit.Record{forward, backward}[g%2]); err != nil {
				t.Errorf("PersistMany() = %v", err)
			}
		})
	}
	all.Wait()
	want := audit.Counts{Attempts: 1600, Persisted: 200, AlreadyPersisted: 1400}
	if got := store.Stats().Total(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func TestCloseWaitsForTheCallsUnderWay(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
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
