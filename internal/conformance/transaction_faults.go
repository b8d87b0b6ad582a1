package conformance

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func transactionFaults() []promise {
	return []promise{
		{"AConflictLeavesTheTransactionGoingOn", aConflictLeavesTheTransactionGoingOn},
		{"ACancelledContextLeavesTheTransactionGoingOn", aCancelledContextLeavesTheTransactionGoingOn},
		{"ADeadlockLeavesTheTransactionGoingOn", aDeadlockLeavesTheTransactionGoingOn},
		{"ASerializationFailureLeavesTheTransactionGoingOn", aSerializationFailureLeavesTheTransactionGoingOn},
	}
}

func aConflictLeavesTheTransactionGoingOn(t *testing.T, db Database) {
	store := newStore(db)
	stored, fresh := newRecord(), newRecord()
	mustPersist(t, store, stored)
	other := stored
	other.Reason = "another one"

	tx := callersTx(t, db.Pool)
	for _, c := range txCalls(store, tx) {
		_ = c.wantFailure(t.Context(), t, other, audit.ErrConflict)
	}
	receipts, err := store.PersistManyTx(t.Context(), tx, []audit.Record{other, fresh})
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok || len(failed.Failures) != 1 || failed.Failures[0].Index != 0 || receipts[1].Outcome != audit.Persisted {
		t.Errorf("PersistManyTx() = %+v, %v; want the first in conflict and the second stored", receipts, err)
	}
	commit(t, tx)
	if _, err := store.Get(t.Context(), audit.AllTenants(), fresh.AuditID); err != nil {
		t.Errorf("the batch's other record: %v", err)
	}
	got, err := store.Get(t.Context(), audit.AllTenants(), stored.AuditID)
	if err != nil || len(got.DiffersIn(stored)) > 0 {
		t.Errorf("the stored record changed: %+v, %v", got, err)
	}
}

// Cancelled before the call, and while its statement waits for a lock.
func aCancelledContextLeavesTheTransactionGoingOn(t *testing.T, db Database) {
	for _, mode := range execModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			pool := poolInMode(t, db, mode)
			config := quiet()
			config.Timeout = 30 * time.Second
			store := coordaudit.New(pool, config)
			tx := callersTx(t, pool)
			release := lockTable(t, db)
			for _, c := range txCalls(store, tx) {
				before, cancel := context.WithCancel(t.Context())
				cancel()
				_ = c.wantFailure(before, t, newRecord(), audit.ErrUnavailable, context.Canceled)

				during, cancel := context.WithCancel(t.Context())
				cancelling := time.AfterFunc(50*time.Millisecond, cancel)
				_ = within(t, 50*time.Millisecond+grace, func() error {
					return c.wantFailure(during, t, newRecord(), audit.ErrUnavailable, context.Canceled)
				})
				cancelling.Stop()
				cancel()
			}
			release()
			commit(t, tx)
			if n := countRecords(t, db.Pool); n != 0 {
				t.Errorf("%d rows, want none", n)
			}
		})
	}
}

// Two transactions that persist two records in opposite orders wait for each
// other. The server ends one statement; its transaction goes on and commits, which
// lets the other's statement end too.
func aDeadlockLeavesTheTransactionGoingOn(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = 30 * time.Second
	store := coordaudit.New(db.Pool, config)
	recs := newRecords(2)
	txs := []pgx.Tx{callersTx(t, db.Pool), callersTx(t, db.Pool)}
	for i, tx := range txs {
		txCalls(store, tx)[i].wantOutcome(t, recs[i], audit.Persisted)
	}
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, tx := range txs {
		both.Go(func() {
			_, errs[i] = txCalls(store, tx)[i].persist(t.Context(), recs[1-i])
			if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (2)"); err != nil {
				t.Errorf("the caller's transaction was broken: %v", err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Errorf("the caller's commit: %v", err)
			}
		})
	}
	both.Wait()
	ended := errors.Join(errs...)
	failed, ok := errors.AsType[*audit.PersistError](ended)
	if !ok || (errs[0] == nil) == (errs[1] == nil) || !errors.Is(ended, audit.ErrUnavailable) || failed.SQLState != "40P01" {
		t.Errorf("errors %v, want one ErrUnavailable for 40P01", errs)
	}
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want both records", n)
	}
	if n := queryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 4 {
		t.Errorf("%d rows of the callers, want 4", n)
	}
}

// An id that was taken after the transaction's snapshot can be neither inserted
// nor read in it.
func aSerializationFailureLeavesTheTransactionGoingOn(t *testing.T, db Database) {
	store := newStore(db)
	mustExec(t, db.Pool, "CREATE TABLE callers_rows (n int)")
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		rec := newRecord()
		mustPersist(t, store, rec)
		for _, c := range txCalls(store, tx) {
			failed := c.wantFailure(t.Context(), t, rec, audit.ErrUnavailable)
			if failed.SQLState != "40001" || failed.Attempts != 1 {
				t.Errorf("%s: %s(): SQLSTATE %s after %d attempts, want 40001 after 1", level, c.name, failed.SQLState, failed.Attempts)
			}
		}
		if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (2)"); err != nil {
			t.Errorf("%s: the caller's transaction was broken: %v", level, err)
		}
		err = tx.Commit(t.Context())
		pgErr, _ := errors.AsType[*pgconn.PgError](err)
		if err != nil && (level != pgx.Serializable || pgErr == nil || pgErr.Code != "40001") {
			t.Errorf("%s: the caller's commit: %v", level, err)
		}
	}
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
