package faults

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func cancelStoresNothing(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, db.URL, frame.Impatient())
	tx := frame.CallersTx(t, db.Pool)
	inTx := coordaudit.New(nil, frame.Impatient())
	release := frame.LockTable(t, db)
	for i, c := range append(frame.OwnCalls(store), frame.TxCalls(inTx, tx)...) {
		want := audit.ErrUnavailable
		if i < len(frame.OwnCalls(store)) {
			want = db.Stopped()
		}
		_ = frame.Within(t, frame.Timeout+frame.Grace, func() error {
			failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), want, context.DeadlineExceeded)
			if failed.SQLState != "57014" || failed.Attempts != 1 {
				t.Errorf("%s(): SQLSTATE %s after %d attempts, want 57014 after 1", c.Name, failed.SQLState, failed.Attempts)
			}
			return failed
		})
	}
	release()
	frame.Commit(t, tx)
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func timeoutCoversRetries(t *testing.T, db frame.Database) {
	frame.FailBySQLState(t, db)
	config := frame.Impatient()
	config.Retries = 1000
	config.RetryDelay = 50 * time.Millisecond
	for _, c := range frame.OwnCalls(coordaudit.New(db.Pool, config)) {
		_ = frame.Within(t, frame.Timeout+frame.Grace, func() error {
			failed := c.WantFailure(t.Context(), t, frame.FailingWith("40001"))
			if !errors.Is(failed, audit.ErrUnavailable) && !errors.Is(failed, db.Stopped()) { // the last attempt may be stopped
				t.Errorf("%s() = %v, want database unavailable", c.Name, failed)
			}
			if failed.Attempts < 2 {
				t.Errorf("%s(): %d attempts, want some", c.Name, failed.Attempts)
			}
			return failed
		})
	}
}

func silenceEndsEveryCall(t *testing.T, db frame.Database) {
	for i, name := range []string{"Persist", "PersistMany"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxy.New(t, db.URL)
			store := fixture.OpenStore(t, proxy.URL(), frame.Impatient())
			fixture.MustPersist(t, store, fixture.NewRecord())
			proxy.Stall()
			_ = frame.Within(t, frame.Timeout+frame.Grace, func() error {
				return frame.OwnCalls(store)[i].WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrOutcomeUnknown, context.DeadlineExceeded)
			})
			proxy.Close() // pgx waits 15 s for a silent server when its pool is closed
		})
	}
	for i, name := range []string{"PersistTx", "PersistManyTx"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxy.New(t, db.URL)
			pool := fixture.OpenPool(t, proxy.URL(), func(config *pgxpool.Config) { config.MaxConns = 1 })
			tx := frame.CallersTx(t, pool)
			proxy.Stall()
			_ = frame.Within(t, frame.Timeout+frame.Grace, func() error {
				c := frame.TxCalls(coordaudit.New(nil, frame.Impatient()), tx)[i]
				return c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrTxLost, context.DeadlineExceeded)
			})
			proxy.Close()
		})
	}
}

// The server refuses, the pool is exhausted, or no answer comes: nothing was sent, and each call
// reports that.
func noConnectionIsReported(t *testing.T, db frame.Database) {
	refused := "postgres://user@127.0.0.1:1/db?sslmode=disable"
	silent := faultproxy.New(t, db.URL)
	silent.Stall()
	exhausted := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 1 })
	taken, err := exhausted.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(taken.Release)
	stores := map[string]*coordaudit.Store{
		"refused":        fixture.OpenStore(t, refused, frame.Impatient()),
		"never answered": fixture.OpenStore(t, silent.URL(), frame.Impatient()),
		"exhausted":      coordaudit.New(exhausted, frame.Impatient()),
	}
	for name, store := range stores {
		for _, c := range frame.OwnCalls(store) {
			c.Name = name + ": " + c.Name
			_ = frame.Within(t, frame.Timeout+frame.Grace, func() error {
				failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrUnavailable)
				if errors.Is(failed, audit.ErrOutcomeUnknown) {
					t.Errorf("%s() = %v, want no doubt, because nothing was sent", c.Name, failed)
				}
				return failed
			})
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func callerCancelIsIgnored(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = 30 * time.Second
	store := fixture.OpenStore(t, db.URL, config)
	for _, c := range frame.OwnCalls(store) {
		release := frame.LockTable(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() {
			result, err := c.Persist(ctx, fixture.NewRecord())
			if err != nil || result.Outcome != audit.Persisted {
				t.Errorf("%s() = %+v, %v; want Persisted", c.Name, result, err)
			}
		})
		frame.WaitForWaiter(t, db)
		cancel()
		release()
		ended.Wait()
	}
}
