package auditdriver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const soon = 100 * time.Millisecond

// A statement that waits for a lock is cancelled when the time is up. Nothing is stored, and
// neither its connection nor a caller's transaction ends.
func TestTimeoutCancelsStatement(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, pool := driverOn(t, db.URL, nil)
	t.Cleanup(driver.Close)
	rec := record()
	for range 2 { // so that no later call has to look anything up or prepare
		mustPersistTx(t, driver, pool, &rec)
	}
	waiting := func(call func(context.Context)) {
		lock, err := db.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Rollback(context.WithoutCancel(t.Context())) }()
		if _, err := lock.Exec(t.Context(), "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		call(ctx)
	}
	// On a machine under load the time may be up before the statement is sent, or before the
	// cancel request is answered. Then the connection is closed, as it should be, and the
	// test tries again.
	for attempt := 1; ; attempt++ {
		own, inTx, before := record(), record(), pool.Stat().NewConnsCount()
		var ownErr, txErr, goesOn error
		waiting(func(ctx context.Context) { _, ownErr = driver.Persist(ctx, &own) })
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			waiting(func(ctx context.Context) { _, txErr = driver.PersistTx(ctx, tx, &inTx) })
			_, goesOn = driver.PersistTx(t.Context(), tx, &inTx)
			return goesOn
		})
		if (!cancelledThere(ownErr) || !cancelledThere(txErr)) && attempt < 10 {
			continue
		}
		for call, err := range map[string]error{"Persist": ownErr, "PersistTx": txErr} {
			if !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, want ErrUnavailable for the deadline", call, err)
			}
		}
		if err != nil {
			t.Errorf("the transaction goes on: %v", err)
		}
		if result, err := driver.Persist(t.Context(), &own); err != nil || result.Outcome != audit.Persisted {
			t.Errorf("after the lock: %+v, %v; want persisted by this call", result, err)
		}
		if n := pool.Stat().NewConnsCount(); n != before {
			t.Errorf("%d connections were made, want %d: one that outlives the timeouts", n, before)
		}
		return
	}
}

// A server that does not answer the cancel request either costs the call no more than its
// grace. Its connection is closed, and a commit of its own is in doubt.
func TestSilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	server, err := pglocal.Start(t.Context(), pglocal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	db := testdb.NewOn(t, server)
	driver, pool := driverOn(t, db.URL, nil)
	rec := record()
	mustPersistTx(t, driver, pool, &rec)
	silent := func(call func(context.Context) error) error {
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := server.Thaw(); err != nil {
				t.Fatal(err)
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		return call(ctx)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = silent(func(ctx context.Context) error {
		_, err := driver.PersistTx(ctx, tx, &rec)
		return err
	})
	if !errors.Is(err, audit.ErrTxLost) || !errors.Is(err, context.DeadlineExceeded) || !tx.Conn().IsClosed() {
		t.Errorf("PersistTx: %v, closed %v; want ErrTxLost for the deadline", err, tx.Conn().IsClosed())
	}
	_ = tx.Rollback(t.Context())

	if _, err := driver.Persist(t.Context(), &rec); err != nil {
		t.Fatal(err)
	}
	fresh := record()
	err = silent(func(ctx context.Context) error {
		_, err := driver.Persist(ctx, &fresh)
		return err
	})
	if !errors.Is(err, audit.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Persist: %v, want ErrOutcomeUnknown for the deadline", err)
	}
	if result, err := driver.Persist(t.Context(), &fresh); err != nil || result.Outcome == "" {
		t.Errorf("after the silence: %+v, %v; want it stored", result, err)
	}
	start := time.Now()
	if driver.Close(); time.Since(start) > 10*time.Second {
		t.Errorf("closing took %s", time.Since(start))
	}
}

// cancelledThere reports whether the server's answer says that the statement was cancelled.
func cancelledThere(err error) bool {
	failure, ok := errors.AsType[*auditdriver.StatementError](err)
	return ok && failure.SQLState == "57014"
}

func mustPersistTx(t *testing.T, driver *auditdriver.Driver, pool *pgxpool.Pool, rec *audit.Record) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := driver.PersistTx(t.Context(), tx, rec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
