package coordaudit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

// The server is killed while a COPY is under way: the batch is stored as a whole or
// not at all, and loading it again makes it whole.
func TestALoadWhoseServerIsKilledIsCompletedByTheNext(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db := testdb.NewOn(t, server)
	config := quiet()
	config.Timeout, config.Retries = time.Minute, -1
	store := openStore(t, db.URL, config)
	struck := 0
	for round := range 5 {
		recs := newRecords(coordaudit.MaxBatch)
		loaded := make(chan error, 1)
		go func() {
			_, err := store.Load(t.Context(), recs)
			loaded <- err
		}()
		awaitCopy(t, db.Pool, loaded)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		err := <-loaded
		if err != nil {
			struck++
		}
		if err != nil && !errors.Is(err, audit.ErrOutcomeUnknown) && !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("Load() = %v, want doubt or nothing stored", err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		db.Pool.Reset()
		const count = "SELECT count(*) FROM coordination_audit_records"
		if n := queryInt(t, db.Pool, count) - round*len(recs); n != len(recs) && (n != 0 || err == nil) {
			t.Errorf("%d rows of a batch of %d, after Load() = %v", n, len(recs), err)
		}
		counts := loadUntilItWorks(t, store, recs)
		if counts.Persisted+counts.AlreadyPersisted != int64(len(recs)) {
			t.Errorf("loaded again: %+v", counts)
		}
		if n := queryInt(t, db.Pool, count); n != (round+1)*len(recs) {
			t.Errorf("%d rows after %d batches of %d", n, round+1, len(recs))
		}
	}
	if struck == 0 {
		t.Error("no kill struck a load, which proves nothing")
	}
}

// awaitCopy returns when the server is in the middle of a COPY, or the load has ended.
func awaitCopy(t *testing.T, pool *pgxpool.Pool, loaded <-chan error) {
	t.Helper()
	for len(loaded) == 0 {
		if queryInt(t, pool, "SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 100") > 0 {
			return
		}
	}
}

// loadUntilItWorks gets over connections of the pool that the kill has broken.
func loadUntilItWorks(t *testing.T, store *coordaudit.Store, recs []audit.Record) audit.Counts {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		counts, err := store.Load(ctx, recs)
		if err == nil {
			return counts
		}
		if ctx.Err() != nil {
			t.Fatalf("Load() = %v", err)
		}
	}
}
