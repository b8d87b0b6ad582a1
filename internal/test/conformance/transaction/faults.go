package transaction

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func survivesConflict(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored, fresh := fixture.NewRecord(), fixture.NewRecord()
	fixture.MustPersist(t, store, stored)
	other := stored
	other.Reason = "another one"

	tx := frame.CallersTx(t, db.Pool)
	for _, c := range frame.TxCalls(store, tx) {
		_ = c.WantFailure(t.Context(), t, other, audit.ErrConflict)
	}
	results, err := store.PersistManyTx(t.Context(), tx, []audit.Record{other, fresh})
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok || len(failed.Failures) != 1 || failed.Failures[0].Index != 0 || results[1].Outcome != audit.Persisted {
		t.Errorf("PersistManyTx() = %+v, %v; want the first in conflict and the second stored", results, err)
	}
	frame.Commit(t, tx)
	if _, err := store.Get(t.Context(), audit.AllTenants(), fresh.AuditID); err != nil {
		t.Errorf("the batch's other record: %v", err)
	}
	got, err := store.Get(t.Context(), audit.AllTenants(), stored.AuditID)
	if err != nil || len(got.DiffersIn(stored)) > 0 {
		t.Errorf("the stored record changed: %+v, %v", got, err)
	}
}

// The context is cancelled before the call, or while its statement waits for a lock. A machine
// under load may not answer the cancel request in time. The transaction is lost then, as
// documented, and the test tries another one.
func survivesCancel(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			config := fixture.Quiet()
			config.Timeout = 30 * time.Second
			store := coordaudit.New(pool, config)
			for attempt := 1; !cancelledAndCommitted(t, db, store, pool); attempt++ {
				if attempt == 10 {
					t.Fatalf("the transaction was lost %d times", attempt)
				}
			}
			if n := fixture.CountRecords(t, db.Pool); n != 0 {
				t.Errorf("%d rows, want none", n)
			}
		})
	}
}

// cancelledAndCommitted cancels each call in a transaction and commits it. It reports false if the
// transaction was lost with its connection.
func cancelledAndCommitted(t *testing.T, db frame.Database, store *coordaudit.Store, pool *pgxpool.Pool) bool {
	t.Helper()
	tx := frame.CallersTx(t, pool)
	release := frame.LockTable(t, db)
	defer release()
	for _, c := range frame.TxCalls(store, tx) {
		before, cancel := context.WithCancel(t.Context())
		cancel()
		_ = c.WantFailure(before, t, fixture.NewRecord(), audit.ErrUnavailable, context.Canceled)

		during, cancel := context.WithCancel(t.Context())
		cancelling := time.AfterFunc(50*time.Millisecond, cancel)
		lost := false
		_ = frame.Within(t, 50*time.Millisecond+frame.Grace, func() error {
			failed := c.WantFailure(during, t, fixture.NewRecord(), context.Canceled)
			if lost = errors.Is(failed, audit.ErrTxLost); !lost && !errors.Is(failed, audit.ErrUnavailable) {
				t.Errorf("%s() = %v, want ErrUnavailable", c.Name, failed)
			}
			return failed
		})
		cancelling.Stop()
		cancel()
		if lost {
			return false
		}
	}
	release()
	frame.Commit(t, tx)
	return true
}

// Two transactions that persist two records in opposite orders wait for each other. The server ends
// one statement. Its transaction goes on and commits, so the other statement can finish.
func survivesDeadlock(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = 30 * time.Second
	store := coordaudit.New(db.Pool, config)
	recs := fixture.NewRecords(2)
	txs := []pgx.Tx{frame.CallersTx(t, db.Pool), frame.CallersTx(t, db.Pool)}
	for i, tx := range txs {
		frame.TxCalls(store, tx)[i].WantOutcome(t, recs[i], audit.Persisted)
	}
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, tx := range txs {
		both.Go(func() {
			_, errs[i] = frame.TxCalls(store, tx)[i].Persist(t.Context(), recs[1-i])
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
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want both records", n)
	}
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 4 {
		t.Errorf("%d rows of the callers, want 4", n)
	}
}

// A transaction can neither insert nor read an id that was taken after its snapshot.
func survivesSerialization(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	fixture.MustExec(t, db.Pool, "CREATE TABLE callers_rows (n int)")
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		if _, err := tx.Exec(t.Context(), "INSERT INTO callers_rows VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		rec := fixture.NewRecord()
		fixture.MustPersist(t, store, rec)
		for _, c := range frame.TxCalls(store, tx) {
			failed := c.WantFailure(t.Context(), t, rec, audit.ErrUnavailable)
			if failed.SQLState != "40001" || failed.Attempts != 1 {
				t.Errorf("%s: %s(): SQLSTATE %s after %d attempts, want 40001 after 1", level, c.Name, failed.SQLState, failed.Attempts)
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
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
