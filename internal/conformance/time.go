package conformance

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
)

func bounds() []promise {
	return []promise{
		{"ALockedTableBoundsTheCallAndNothingIsInDoubt", aLockedTableBoundsTheCallAndNothingIsInDoubt},
		{"ALockedTableCostsTheCallerOnlyTime", aLockedTableCostsTheCallerOnlyTime},
		{"AnAnsweredCancelLeavesTheCallersTransactionAlone", anAnsweredCancelLeavesTheCallersTransactionAlone},
		{"AServerThatNeverAnswersBoundsTheCall", aServerThatNeverAnswersBoundsTheCall},
		{"AServerThatFallsSilentLeavesAnOwnCommitInDoubt", aServerThatFallsSilentLeavesAnOwnCommitInDoubt},
		{"AServerThatFallsSilentBoundsACallInATransaction", aServerThatFallsSilentBoundsACallInATransaction},
		{"AnExhaustedPoolBoundsTheCall", anExhaustedPoolBoundsTheCall},
	}
}

const (
	timeout = 500 * time.Millisecond
	grace   = 250 * time.Millisecond // what Config.Timeout's comment promises
)

func impatient() coordaudit.Config {
	config := quiet()
	config.Timeout = timeout
	return config
}

// within fails if call takes longer than a bound; it returns call's error.
func within(t *testing.T, bound time.Duration, call func() error) error {
	t.Helper()
	start := time.Now()
	err := call()
	if took := time.Since(start); took > bound {
		t.Errorf("the call took %v, its bound is %v", took, bound)
	}
	return err
}

// Row 6: a locked table held the predecessor for as long as it was locked.
func aLockedTableBoundsTheCallAndNothingIsInDoubt(t *testing.T, db Database) {
	store := openStore(t, db.URL, impatient())
	lockTable(t, db)
	for range 2 {
		err := within(t, timeout+grace, func() error {
			_, err := store.Persist(t.Context(), newRecord())
			return err
		})
		if !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Persist() = %v, want ErrUnavailable for context.DeadlineExceeded", err)
		}
	}
}

// Row 6, in the caller's transaction.
func aLockedTableCostsTheCallerOnlyTime(t *testing.T, db Database) {
	for _, mode := range execModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			pool := poolInMode(t, db, mode)
			store := coordaudit.New(pool, impatient())
			lockTable(t, db)

			tx := callersTx(t, pool)
			err := within(t, timeout+grace, func() error {
				_, err := store.PersistTx(t.Context(), tx, newRecord())
				return err
			})
			if !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("PersistTx() within Config.Timeout = %v, want ErrUnavailable for context.DeadlineExceeded", err)
			}

			ctx, cancel := context.WithTimeout(t.Context(), timeout/2)
			defer cancel()
			err = within(t, timeout/2+grace, func() error {
				_, err := store.PersistTx(ctx, tx, newRecord())
				return err
			})
			if !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("PersistTx() within the caller's deadline = %v, want ErrUnavailable for context.DeadlineExceeded", err)
			}
			commit(t, tx)
		})
	}
}

// The statement's own answer is what counts, not when the request's connection ends:
// on a busy server that takes its time.
func anAnsweredCancelLeavesTheCallersTransactionAlone(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	tx := callersTx(t, openPool(t, proxy.URL(), nothing))
	store := coordaudit.New(nil, impatient())
	release := lockTable(t, db)
	proxy.HoldNewConnections()
	for _, call := range txCalls(store, tx) {
		_ = within(t, timeout+grace, func() error {
			return call.wantFailure(t.Context(), t, newRecord(), audit.ErrUnavailable, context.DeadlineExceeded)
		})
	}
	release()
	commit(t, tx)
	// A pooler may still be passing the requests on: to hang up on it then can end it.
	time.Sleep(time.Second)
	if n := proxy.HungUp(); n != 0 {
		t.Errorf("%d cancel requests were hung up on", n)
	}
}

// Row 6: a host that accepts and never answers held the predecessor without end.
func aServerThatNeverAnswersBoundsTheCall(t *testing.T, _ Database) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	store := openStore(t, "postgres://user:hunter2@"+listener.Addr().String()+"/db?sslmode=disable", impatient())
	err = within(t, timeout+grace, func() error {
		_, err := store.Persist(t.Context(), newRecord())
		return err
	})
	if !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("Persist() = %v, want ErrUnavailable: nothing was sent", err)
	}
}

func aServerThatFallsSilentLeavesAnOwnCommitInDoubt(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, proxy.URL(), impatient())
	mustPersist(t, store, newRecord())
	proxy.Stall()
	err := within(t, timeout+grace, func() error {
		_, err := store.Persist(t.Context(), newRecord())
		return err
	})
	if !errors.Is(err, audit.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Persist() = %v, want ErrOutcomeUnknown for context.DeadlineExceeded", err)
	}
	proxy.Close() // pgx waits 15 s for a silent server when its pool is closed
}

func aServerThatFallsSilentBoundsACallInATransaction(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	conn, err := pgx.Connect(t.Context(), proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store := coordaudit.New(nil, quiet())
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	err = within(t, timeout+grace, func() error {
		_, err := store.PersistTx(ctx, tx, newRecord())
		return err
	})
	if !errors.Is(err, audit.ErrTxLost) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("PersistTx() = %v, want ErrTxLost for context.DeadlineExceeded", err)
	}
	if _, err := store.PersistTx(t.Context(), tx, newRecord()); !errors.Is(err, audit.ErrTxUnusable) {
		t.Errorf("PersistTx() on the dead connection = %v, want ErrTxUnusable", err)
	}
}

func anExhaustedPoolBoundsTheCall(t *testing.T, db Database) {
	store := openStore(t, withSetting(db.URL, "pool_max_conns=1"), impatient())
	lockTable(t, db)
	go func() { _, _ = store.Persist(context.Background(), newRecord()) }()
	eventually(t, func() bool {
		return queryInt(t, db.Pool, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'coordination_audit_records'::regclass") == 1
	})
	err := within(t, timeout+grace, func() error {
		_, err := store.Persist(t.Context(), newRecord())
		return err
	})
	if !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("Persist() = %v, want ErrUnavailable", err)
	}
}
