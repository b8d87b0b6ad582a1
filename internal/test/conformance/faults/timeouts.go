package faults

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Row 6: a locked table held the predecessor for as long as it was locked.
func lockedTableEndsCall(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			store := coordaudit.New(frame.PoolInMode(t, db, mode), frame.Impatient())
			release := frame.LockTable(t, db)
			for range 2 {
				for _, call := range frame.OwnCalls(store) {
					frame.AtTimeout(t, func() {
						failed := call.WantFailure(t.Context(), t, fixture.NewRecord(), db.Stopped(), context.DeadlineExceeded)
						if errors.Is(failed, audit.ErrOutcomeUnknown) && !db.Distributed {
							t.Errorf("%s() = %v, want no doubt: the server cancelled it", call.Name, failed)
						}
					})
				}
			}
			fixture.Eventually(t, func() bool { return frame.CountWaiting(t, db) == 0 }) // though the table is still locked
			release()
			if n := fixture.CountRecords(t, db.Admin); n != 0 {
				t.Errorf("%d rows, want none", n)
			}
			fixture.MustPersist(t, store, fixture.NewRecord())
		})
	}
}

// Row 6, in the caller's transaction.
func lockSparesTransaction(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, frame.Impatient())
			tx := frame.CallersTx(t, pool)
			persist := func(ctx context.Context) error {
				_, err := store.PersistTx(ctx, tx, fixture.NewRecord())
				return err
			}

			release := frame.LockTable(t, db)
			for range 2 {
				frame.AtTimeout(t, func() {
					if err := persist(t.Context()); !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("PersistTx() within Config.Timeout = %v, want ErrUnavailable for context.DeadlineExceeded", err)
					}
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), frame.Timeout/2)
			defer cancel()
			err := frame.Within(t, frame.Timeout/2+frame.Grace, func() error { return persist(ctx) })
			if !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("PersistTx() within the caller's deadline = %v, want ErrUnavailable for context.DeadlineExceeded", err)
			}

			release()
			if err := persist(t.Context()); err != nil {
				t.Errorf("PersistTx() in the same transaction, once the table is free: %v", err)
			}
			frame.Commit(t, tx)
			if records, rows := fixture.CountRecords(t, db.Admin), fixture.QueryInt(t, db.Admin, "SELECT count(*) FROM callers_rows"); records != 1 || rows != 2 {
				t.Errorf("%d records and %d rows of the caller, want 1 and 2", records, rows)
			}
		})
	}
}

// The answer to the statement counts, not the end of the cancel request's connection, which takes
// long on a busy server.
func cancelSparesTransaction(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	tx := frame.CallersTx(t, fixture.OpenPool(t, proxy.URL(), nil))
	store := coordaudit.New(nil, frame.Impatient())
	release := frame.LockTable(t, db)
	proxy.HoldNewConnections()
	for _, call := range frame.TxCalls(store, tx) {
		_ = frame.Within(t, frame.Timeout+frame.Grace, func() error {
			return call.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrUnavailable, context.DeadlineExceeded)
		})
	}
	release()
	frame.Commit(t, tx)
	// A pooler may still be forwarding the requests, and PgBouncer 1.18 can exit if the client closes
	// the connection meanwhile.
	time.Sleep(time.Second)
	if n := proxy.HungUp(); n != 0 {
		t.Errorf("the client closed %d cancel requests", n)
	}
}

// Row 6: a host that accepted the connection and never answered held the predecessor forever.
func muteServerEndsCall(t *testing.T, _ frame.Database) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	store := fixture.OpenStore(t, "postgres://user:hunter2@"+listener.Addr().String()+"/db?sslmode=disable", frame.Impatient())
	err = frame.Within(t, frame.Timeout+frame.Grace, func() error {
		_, err := store.Persist(t.Context(), fixture.NewRecord())
		return err
	})
	if !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("Persist() = %v, want ErrUnavailable: nothing was sent", err)
	}
}

func silenceLeavesDoubt(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	store := fixture.OpenStore(t, proxy.URL(), frame.Impatient())
	fixture.MustPersist(t, store, fixture.NewRecord())
	proxy.Stall()
	err := frame.Within(t, frame.Timeout+frame.Grace, func() error {
		_, err := store.Persist(t.Context(), fixture.NewRecord())
		return err
	})
	if !errors.Is(err, audit.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Persist() = %v, want ErrOutcomeUnknown for context.DeadlineExceeded", err)
	}
	proxy.Close() // pgx waits 15 s for a silent server when its pool is closed
}

func silenceLosesTransaction(t *testing.T, db frame.Database) {
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
	store := coordaudit.New(nil, fixture.Quiet())
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), frame.Timeout)
	defer cancel()
	err = frame.Within(t, frame.Timeout+frame.Grace, func() error {
		_, err := store.PersistTx(ctx, tx, fixture.NewRecord())
		return err
	})
	if !errors.Is(err, audit.ErrTxLost) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("PersistTx() = %v, want ErrTxLost for context.DeadlineExceeded", err)
	}
	if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); !errors.Is(err, audit.ErrTxUnusable) {
		t.Errorf("PersistTx() on the dead connection = %v, want ErrTxUnusable", err)
	}
}

func exhaustedPoolEndsCall(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, fixture.WithSetting(db.URL, "pool_max_conns=1"), frame.Impatient())
	frame.LockTable(t, db)
	go func() { _, _ = store.Persist(context.Background(), fixture.NewRecord()) }()
	fixture.Eventually(t, func() bool {
		return frame.CountWaiting(t, db) == 1
	})
	err := frame.Within(t, frame.Timeout+frame.Grace, func() error {
		_, err := store.Persist(t.Context(), fixture.NewRecord())
		return err
	})
	if !errors.Is(err, db.Stopped()) {
		t.Errorf("Persist() = %v, want %v", err, db.Stopped())
	}
}
