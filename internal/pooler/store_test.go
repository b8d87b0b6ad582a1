package pooler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pooler"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

// client is one goroutine that makes every call of a store in turn and notes which
// ids were acknowledged.
type client struct {
	store        *coordaudit.Store
	pool         *pgxpool.Pool
	acknowledged []string
}

func (c *client) note(recs ...audit.Record) {
	for _, rec := range recs {
		c.acknowledged = append(c.acknowledged, rec.AuditID.String())
	}
}

// round makes every call and returns the first answer that is not as promised.
func (c *client) round(ctx context.Context) error {
	for _, call := range []func(context.Context) error{c.persist, c.persistMany, c.persistInTransaction, c.rollBack} {
		if err := call(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) persist(ctx context.Context) error {
	rec := newRecord()
	first, err := c.store.Persist(ctx, rec)
	if err != nil {
		return fmt.Errorf("Persist: %w", err)
	}
	c.note(rec)
	again, err := c.store.Persist(ctx, rec)
	if err != nil || again.Outcome != audit.AlreadyPersisted || again.Seq != first.Seq {
		return fmt.Errorf("Persist again: %w, %+v after %+v", err, again, first)
	}
	other := rec
	other.Reason = "another"
	if _, err := c.store.Persist(ctx, other); !errors.Is(err, audit.ErrConflict) {
		return fmt.Errorf("Persist of other content under a taken id: %w, want ErrConflict", err)
	}
	got, err := c.store.Get(ctx, audit.Tenant("acme"), rec.AuditID)
	if err != nil || got.Seq != first.Seq || len(rec.DiffersIn(got)) > 0 {
		return fmt.Errorf("Get: %w, %+v", err, got)
	}
	return nil
}

func (c *client) persistMany(ctx context.Context) error {
	recs := newRecords(5)
	if _, err := c.store.PersistMany(ctx, recs); err != nil {
		return fmt.Errorf("PersistMany: %w", err)
	}
	c.note(recs...)
	more := append(slices.Clone(recs), newRecord())
	receipts, err := c.store.PersistMany(ctx, more)
	if err != nil || receipts[0].Outcome != audit.AlreadyPersisted || receipts[5].Outcome != audit.Persisted {
		return fmt.Errorf("PersistMany with one more: %w, %+v", err, receipts)
	}
	c.note(more[5])
	return nil
}

// persistInTransaction has three kinds of refusals in the middle of a caller's work.
func (c *client) persistInTransaction(ctx context.Context) error {
	recs := newRecords(4)
	conflicting, invalid := recs[0], newRecord()
	conflicting.Reason, invalid.Reason = "another", ""
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO callers_rows VALUES (1)"); err != nil {
			return err
		}
		if _, err := c.store.PersistTx(ctx, tx, recs[0]); err != nil {
			return fmt.Errorf("PersistTx: %w", err)
		}
		for range 2 {
			if _, err := c.store.PersistTx(ctx, tx, conflicting); !errors.Is(err, audit.ErrConflict) {
				return fmt.Errorf("PersistTx of other content: %w, want ErrConflict", err)
			}
		}
		if _, err := c.store.PersistTx(ctx, tx, invalid); !errors.Is(err, audit.ErrInvalidRecord) {
			return fmt.Errorf("PersistTx of an invalid record: %w", err)
		}
		if _, err := c.store.PersistManyTx(ctx, tx, append([]audit.Record{conflicting}, recs[1:]...)); !errors.Is(err, audit.ErrConflict) {
			return fmt.Errorf("PersistManyTx with one in conflict: %w, want ErrConflict", err)
		}
		again, err := c.store.PersistTx(ctx, tx, recs[3])
		if err != nil || again.Outcome != audit.AlreadyPersisted {
			return fmt.Errorf("PersistTx again: %w, %+v", err, again)
		}
		_, err = tx.Exec(ctx, "INSERT INTO callers_rows VALUES (2)")
		return err
	})
	if err == nil {
		c.note(recs...)
	}
	return err
}

func (c *client) rollBack(ctx context.Context) error {
	rec := newRecord()
	errChanged := errors.New("the caller changed its mind")
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		if _, err := c.store.PersistTx(ctx, tx, rec); err != nil {
			return err
		}
		return errChanged
	})
	if !errors.Is(err, errChanged) {
		return fmt.Errorf("rolling back: %w", err)
	}
	if _, err := c.store.Get(ctx, audit.AllTenants(), rec.AuditID); !errors.Is(err, audit.ErrNotFound) {
		return fmt.Errorf("Get of a record rolled back: %w, want ErrNotFound", err)
	}
	return nil
}

// work has clients go through a pooler of few server connections at once.
func work(t *testing.T, mode pgx.QueryExecMode) (db *testdb.DB, clients []*client, failures []error) {
	t.Helper()
	const goroutines, rounds = 12, 8
	db = testdb.New(t)
	if _, err := db.Pool.Exec(t.Context(), "CREATE TABLE callers_rows (n int)"); err != nil {
		t.Fatal(err)
	}
	p := pooler.Start(t, db.URL, pooler.Config{ServerConnections: 3})
	store, pool := openStore(t, p.URL(mode), time.Minute)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range goroutines {
		c := &client{store: store, pool: pool}
		clients = append(clients, c)
		all.Go(func() {
			for range rounds {
				if err := c.round(t.Context()); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return db, clients, failures
}

func acknowledgedBy(clients []*client) []string {
	var ids []string
	for _, c := range clients {
		ids = append(ids, c.acknowledged...)
	}
	slices.Sort(ids)
	return ids
}

func TestEveryCallWorksThroughATransactionPooler(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db, clients, failures := work(t, mode)
			for _, err := range failures {
				t.Error(err)
			}
			if diff := cmp.Diff(acknowledgedBy(clients), storedIDs(t, db.Pool)); diff != "" {
				t.Errorf("what is stored is not what was acknowledged (-acknowledged +stored):\n%s", diff)
			}
			if n := ask[int](t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 2*12*8 {
				t.Errorf("%d of the callers' own rows, want %d", n, 2*12*8)
			}
		})
	}
}

// PgBouncer follows named prepared statements from 1.21 on, if max_prepared_statements
// is set (from 1.24 on it is), and unnamed ones never. Where it does not, these modes
// fail; they must not lie.
func TestModesThatPrepareLoseNothingTheyAcknowledge(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db, clients, failures := work(t, mode)
			if len(failures) > 0 {
				t.Logf("%d of %d rounds failed, one so: %v", len(failures), 12*8, failures[0])
			}
			stored := storedIDs(t, db.Pool)
			for _, id := range acknowledgedBy(clients) {
				if _, found := slices.BinarySearch(stored, id); !found {
					t.Errorf("acknowledged and not stored: %s", id)
				}
			}
			if unique := slices.Compact(slices.Clone(stored)); len(unique) < len(stored) {
				t.Errorf("%d records are stored more than once", len(stored)-len(unique))
			}
		})
	}
}
