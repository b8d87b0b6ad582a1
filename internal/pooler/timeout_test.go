package pooler_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pooler"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

const (
	timeout = 500 * time.Millisecond
	grace   = 250 * time.Millisecond // what coordaudit.Config.Timeout's comment promises
)

const waitingForLocks = `
	SELECT count(*) FROM pg_locks
	WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

// within fails if call takes longer than its bound; it returns call's error.
func within(t *testing.T, call func() error) error {
	t.Helper()
	start := time.Now()
	err := call()
	if took := time.Since(start); took < timeout || took > timeout+grace {
		t.Errorf("the call took %v, want %v and at most %v more", took, timeout, grace)
	}
	return err
}

// lockTable holds the trail's table, past the pooler, until release is called.
func lockTable(t *testing.T, db *testdb.DB) (release func()) {
	t.Helper()
	tx := begin(t, connect(t, db.URL), "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE")
	return func() {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestTheCancelRequestPassesThePooler(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			p := pooler.Start(t, db.URL, pooler.Config{})
			store, _ := openStore(t, p.URL(mode), timeout)
			release := lockTable(t, db)
			calls := map[string]func() error{
				"Persist":     func() error { _, err := store.Persist(t.Context(), newRecord()); return err },
				"PersistMany": func() error { _, err := store.PersistMany(t.Context(), newRecords(3)); return err },
			}
			for name, call := range calls {
				if err := within(t, call); !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrOutcomeUnknown) {
					t.Errorf("%s on a locked table: %v, want ErrUnavailable", name, err)
				}
			}
			if waiting := ask[int](t, db.Pool, waitingForLocks); waiting > 0 {
				t.Errorf("%d statements wait in the server still", waiting)
			}
			release()
			if stored := storedIDs(t, db.Pool); len(stored) > 0 {
				t.Errorf("stored although refused: %q", stored)
			}
			if _, err := store.Persist(t.Context(), newRecord()); err != nil {
				t.Errorf("once the table is free: %v", err)
			}
		})
	}
}

func TestACancelledRecordLeavesTheCallersTransactionAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			p := pooler.Start(t, db.URL, pooler.Config{})
			store, _ := openStore(t, p.URL(mode), timeout)
			tx := begin(t, connect(t, p.URL(mode)), "CREATE TABLE callers_rows AS SELECT 1 AS n")
			release := lockTable(t, db)
			for range 2 {
				err := within(t, func() error {
					_, err := store.PersistTx(t.Context(), tx, newRecord())
					return err
				})
				if !errors.Is(err, audit.ErrUnavailable) {
					t.Errorf("PersistTx() = %v, want ErrUnavailable", err)
				}
			}
			release()
			rec := newRecord()
			if _, err := store.PersistTx(t.Context(), tx, rec); err != nil {
				t.Errorf("once the table is free, in the same transaction: %v", err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if stored := storedIDs(t, db.Pool); len(stored) != 1 || stored[0] != rec.AuditID.String() {
				t.Errorf("stored %q, want %s alone", stored, rec.AuditID)
			}
			if n := ask[int](t, db.Pool, "SELECT n FROM callers_rows"); n != 1 {
				t.Error("the caller's own work is gone")
			}
		})
	}
}

// A pooler takes the statement and lets it wait for a server connection. It does not
// pass on a cancel request for it, nor answer, so that the store cannot know.
func TestABusyPoolerBoundsTheCallAndNothingIsDenied(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			p := pooler.Start(t, db.URL, pooler.Config{ServerConnections: 1})
			store, _ := openStore(t, p.URL(mode), timeout)
			// The first use of a connection is not what is tested.
			if _, err := store.Persist(t.Context(), newRecord()); err != nil {
				t.Fatal(err)
			}
			busy := begin(t, connect(t, p.URL(mode)), "SELECT 1")
			err := within(t, func() error {
				_, err := store.Persist(t.Context(), newRecord())
				return err
			})
			if !errors.Is(err, audit.ErrUnavailable) && !errors.Is(err, audit.ErrOutcomeUnknown) {
				t.Errorf("Persist() = %v, want ErrUnavailable or ErrOutcomeUnknown", err)
			}
			if err := busy.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			// One that comes after it through the only server connection sees it if it was stored.
			rec := newRecord()
			if _, err := store.Persist(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			// What the store left open may be there: the pooler may have sent it before it
			// saw that its client had gone. What the store denied may not.
			stored := len(storedIDs(t, db.Pool))
			if inDoubt := errors.Is(err, audit.ErrOutcomeUnknown); stored != 2 && (!inDoubt || stored != 3) {
				t.Errorf("stored %d records after %v, want the first, the last, and the one between only if it was in doubt", stored, err)
			}
		})
	}
}

func TestClientsShareServerConnections(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := pooler.Start(t, db.URL, pooler.Config{ServerConnections: 2})
	backends := map[int]bool{}
	for range 8 {
		backends[ask[int](t, connect(t, p.URL(pgx.QueryExecModeExec)), "SELECT pg_backend_pid()")] = true
	}
	if len(backends) > 2 {
		t.Errorf("8 clients at once have %d server connections, want 2 at most", len(backends))
	}
}
