package conformance

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
)

func callBounds() []promise {
	return []promise{
		{"ACancelledStatementStoredNothing", aCancelledStatementStoredNothing},
		{"TheTimeoutBoundsACallWithItsRetries", theTimeoutBoundsACallWithItsRetries},
		{"ASilentServerBoundsEveryCall", aSilentServerBoundsEveryCall},
		{"NoConnectionIsToldByEveryCall", noConnectionIsToldByEveryCall},
		{"CancellationDuringAnOwnCallChangesNothing", cancellationDuringAnOwnCallChangesNothing},
	}
}

func aCancelledStatementStoredNothing(t *testing.T, db Database) {
	store := openStore(t, db.URL, impatient())
	tx := callersTx(t, db.Pool)
	inTx := coordaudit.New(nil, impatient())
	release := lockTable(t, db)
	for _, c := range append(ownCalls(store), txCalls(inTx, tx)...) {
		_ = within(t, timeout+grace, func() error {
			failed := c.wantFailure(t.Context(), t, newRecord(), audit.ErrUnavailable, context.DeadlineExceeded)
			if failed.SQLState != "57014" || failed.Attempts != 1 {
				t.Errorf("%s(): SQLSTATE %s after %d attempts, want 57014 after 1", c.name, failed.SQLState, failed.Attempts)
			}
			return failed
		})
	}
	release()
	commit(t, tx)
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func theTimeoutBoundsACallWithItsRetries(t *testing.T, db Database) {
	failBySQLState(t, db)
	config := impatient()
	config.Retries = 1000
	config.RetryDelay = 50 * time.Millisecond
	for _, c := range ownCalls(coordaudit.New(db.Pool, config)) {
		_ = within(t, timeout+grace, func() error {
			failed := c.wantFailure(t.Context(), t, failingWith("40001"), audit.ErrUnavailable)
			if failed.Attempts < 2 {
				t.Errorf("%s(): %d attempts, want some", c.name, failed.Attempts)
			}
			return failed
		})
	}
}

func aSilentServerBoundsEveryCall(t *testing.T, db Database) {
	for i, name := range []string{"Persist", "PersistMany"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxy.New(t, db.URL)
			store := openStore(t, proxy.URL(), impatient())
			mustPersist(t, store, newRecord())
			proxy.Stall()
			_ = within(t, timeout+grace, func() error {
				return ownCalls(store)[i].wantFailure(t.Context(), t, newRecord(), audit.ErrOutcomeUnknown, context.DeadlineExceeded)
			})
			proxy.Close() // pgx waits 15 s for a silent server when its pool is closed
		})
	}
	for i, name := range []string{"PersistTx", "PersistManyTx"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := faultproxy.New(t, db.URL)
			pool := openPool(t, proxy.URL(), func(config *pgxpool.Config) { config.MaxConns = 1 })
			tx := callersTx(t, pool)
			proxy.Stall()
			_ = within(t, timeout+grace, func() error {
				c := txCalls(coordaudit.New(nil, impatient()), tx)[i]
				return c.wantFailure(t.Context(), t, newRecord(), audit.ErrTxLost, context.DeadlineExceeded)
			})
			proxy.Close()
		})
	}
}

// Refused, exhausted, never answered: nothing was sent, and each call says so.
func noConnectionIsToldByEveryCall(t *testing.T, db Database) {
	refused := "postgres://user@127.0.0.1:1/db?sslmode=disable"
	silent := faultproxy.New(t, db.URL)
	silent.Stall()
	exhausted := openPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 1 })
	taken, err := exhausted.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(taken.Release)
	stores := map[string]*coordaudit.Store{
		"refused":        openStore(t, refused, impatient()),
		"never answered": openStore(t, silent.URL(), impatient()),
		"exhausted":      coordaudit.New(exhausted, impatient()),
	}
	for name, store := range stores {
		for _, c := range ownCalls(store) {
			c.name = name + ": " + c.name
			_ = within(t, timeout+grace, func() error {
				failed := c.wantFailure(t.Context(), t, newRecord(), audit.ErrUnavailable)
				if errors.Is(failed, audit.ErrOutcomeUnknown) {
					t.Errorf("%s() = %v, want no doubt: nothing was sent", c.name, failed)
				}
				return failed
			})
		}
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func cancellationDuringAnOwnCallChangesNothing(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = 30 * time.Second
	store := openStore(t, db.URL, config)
	for _, c := range ownCalls(store) {
		release := lockTable(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() {
			receipt, err := c.persist(ctx, newRecord())
			if err != nil || receipt.Outcome != audit.Persisted {
				t.Errorf("%s() = %+v, %v; want Persisted", c.name, receipt, err)
			}
		})
		waitForWaiter(t, db)
		cancel()
		release()
		ended.Wait()
	}
}
