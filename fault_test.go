package coordaudit_test

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
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

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

// lockTable holds the trail's table against everyone until the test ends.
func lockTable(t *testing.T, db *testdb.DB) {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
}

func TestALockedTableBoundsTheCallAndNothingIsInDoubt(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
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

func TestALockedTableCostsTheCallerOnlyTime(t *testing.T) {
	t.Parallel()
	for _, mode := range execModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db, pool := dbInMode(t, mode)
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

func TestAServerThatNeverAnswersBoundsTheCall(t *testing.T) {
	t.Parallel()
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

func TestAServerThatFallsSilentLeavesAnOwnCommitInDoubt(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
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

func TestAServerThatFallsSilentBoundsACallInATransaction(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
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

// The connection breaks at a chosen message of the statement's own commit. With
// no retry the outcome is in doubt; trying again with the same id settles it.
func TestACommitInDoubtIsNeverGuessed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cut    func(*faultproxy.Proxy)
		stored int // what a look past the store finds
	}{
		"before the statement arrives":       {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Execute) }, 0},
		"before the commit":                  {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Sync) }, 0},
		"after the row, with the completion": {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }, 1},
		"after the commit, with the answer":  {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.ReadyForQuery) }, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			proxy := faultproxy.New(t, db.URL)
			config := quiet()
			config.Retries = -1
			store := openStore(t, proxy.URL()+"&pool_max_conns=1", config)
			mustPersist(t, store, newRecord()) // the statement is prepared now

			rec := newRecord()
			test.cut(proxy)
			receipt, err := store.Persist(t.Context(), rec)
			if !errors.Is(err, audit.ErrOutcomeUnknown) || receipt.AuditID != rec.AuditID || receipt.Outcome != "" {
				t.Fatalf("Persist() = %+v, %v; want ErrOutcomeUnknown", receipt, err)
			}
			eventually(t, func() bool {
				return queryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", rec.AuditID) == test.stored
			})

			want := []audit.Outcome{audit.Persisted, audit.AlreadyPersisted}[test.stored]
			if receipt := mustPersist(t, store, rec); receipt.Outcome != want {
				t.Errorf("trying again: outcome %s, want %s", receipt.Outcome, want)
			}
		})
	}
}

func TestALostConnectionIsRetriedOnceWithTheSameID(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, proxy.URL()+"&pool_max_conns=1", quiet())
	mustPersist(t, store, newRecord())

	rec := newRecord()
	proxy.CutAtServer(faultproxy.ReadyForQuery)
	receipt, err := store.Persist(t.Context(), rec)
	if err != nil || receipt.Outcome != audit.AlreadyPersisted {
		t.Errorf("the acknowledgement was lost: Persist() = %+v, %v; want AlreadyPersisted", receipt, err)
	}
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// One terminated backend cost the predecessor one record each time (table 1, row 7).
func TestTerminatedBackendsLoseNoRecord(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	store := openStore(t, db.URL, quiet())
	for range 20 {
		mustPersist(t, store, newRecord())
		mustExec(t, db.Pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	if n := countRecords(t, db.Pool); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
}

// A later attempt that could not even connect does not settle what an earlier one left open.
func TestDoubtIsKeptOverALaterAttempt(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	proxy := faultproxy.New(t, db.URL)
	config := quiet()
	config.Timeout = time.Second
	store := openStore(t, proxy.URL()+"&pool_max_conns=1", config)
	mustPersist(t, store, newRecord())
	proxy.CutAtServer(faultproxy.ReadyForQuery)
	proxy.StallNewConnections()
	_, err := store.Persist(t.Context(), newRecord())
	if !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("Persist() = %v, want ErrOutcomeUnknown", err)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || failed.Attempts != 2 {
		t.Errorf("error %v, want a PersistError of 2 attempts", err)
	}
	proxy.Close()
}

func TestAnUnreachableDatabaseIsSaidPlainly(t *testing.T) {
	t.Parallel()
	store := openStore(t, "postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable", quiet())
	_, err := store.Persist(t.Context(), newRecord())
	if !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("Persist() = %v, want ErrUnavailable alone", err)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || failed.Attempts != 2 {
		t.Errorf("error %v, want a PersistError of 2 attempts", err)
	}
}

func TestAnExhaustedPoolBoundsTheCall(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	store := openStore(t, db.URL+"&pool_max_conns=1", impatient())
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

func TestACommitThatTheServerRefusesIsNoSuccess(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	mustExec(t, db.Pool, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit' USING ERRCODE = '23514'; END $$`)
	mustExec(t, db.Pool, `CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON coordination_audit_records DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if _, err := store.Persist(t.Context(), newRecord()); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("Persist() = %v, want ErrRefused", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 10 s in vain")
		}
	}
}
