package transaction

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
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func concurrentCallersWork(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			acknowledged, failures := MakeConcurrentCalls(t, db, mode)
			for _, err := range failures {
				t.Error(err)
			}
			if diff := cmp.Diff(acknowledged, StoredIDs(t, db)); diff != "" {
				t.Errorf("the stored records are not the acknowledged ones (-acknowledged +stored):\n%s", diff)
			}
			if n := fixture.QueryInt(t, db.Admin, "SELECT count(*) FROM callers_rows"); n != 2*Rounds {
				t.Errorf("%d of the callers' own rows, want %d", n, 2*Rounds)
			}
		})
	}
}

const (
	goroutines = 12

	// Rounds is how many rounds MakeConcurrentCalls makes, each with every call.
	Rounds = 8 * goroutines
)

// MakeConcurrentCalls makes every call from many goroutines at once and returns the sorted ids
// of the acknowledged records, and an error for each round that did not go as guaranteed.
func MakeConcurrentCalls(t *testing.T, db frame.Database, mode pgx.QueryExecMode) (acknowledged []string, failures []error) {
	t.Helper()
	fixture.MustExec(t, db.Admin, "CREATE TABLE callers_rows (n int)")
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.DefaultQueryExecMode = mode
		config.MaxConns = 16
	})
	config := fixture.Quiet()
	config.Timeout = time.Minute
	store := coordaudit.New(pool, config)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			c := &caller{store: store, pool: pool}
			for range Rounds / goroutines {
				if err := c.round(t.Context()); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			acknowledged = append(acknowledged, c.acknowledged...)
		})
	}
	all.Wait()
	slices.Sort(acknowledged)
	return acknowledged, failures
}

// StoredIDs lists the ids of the trail without the store. A record stored twice comes twice.
func StoredIDs(t *testing.T, db frame.Database) []string {
	t.Helper()
	rows, err := db.Admin.Query(t.Context(), "SELECT audit_id::text FROM coordination_audit_records ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids) // in the order of Go, which the collation may not have
	return ids
}

// caller is one goroutine that makes every call of a store in turn and notes which ids were
// acknowledged.
type caller struct {
	store        *coordaudit.Store
	pool         *pgxpool.Pool
	acknowledged []string
}

func (c *caller) note(recs ...audit.Record) {
	for _, rec := range recs {
		c.acknowledged = append(c.acknowledged, rec.AuditID.String())
	}
}

// round makes every call and returns the first answer that is not as guaranteed.
func (c *caller) round(ctx context.Context) error {
	for _, call := range []func(context.Context) error{c.persist, c.persistMany, c.persistInTransaction, c.rollBack} {
		if err := call(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *caller) persist(ctx context.Context) error {
	rec := fixture.NewRecord()
	first, err := c.store.Persist(ctx, rec)
	if err != nil {
		return fmt.Errorf("the first Persist: %w", err)
	}
	c.note(rec)
	again, err := c.store.Persist(ctx, rec)
	if err != nil || again.Outcome != audit.AlreadyPersisted || again.Seq != first.Seq {
		return fmt.Errorf("the second Persist: %w, %+v after %+v", err, again, first)
	}
	other := rec
	other.Reason = "another"
	if _, err := c.store.Persist(ctx, other); !errors.Is(err, audit.ErrConflict) {
		return fmt.Errorf("a Persist of other content under a taken id: %w, want ErrConflict", err)
	}
	got, err := c.store.Get(ctx, audit.Tenant("acme"), rec.AuditID)
	if err != nil || got.Seq != first.Seq || len(rec.DiffersIn(got)) > 0 {
		return fmt.Errorf("the Get: %w, %+v", err, got)
	}
	return nil
}

func (c *caller) persistMany(ctx context.Context) error {
	recs := fixture.NewRecords(5)
	if _, err := c.store.PersistMany(ctx, recs); err != nil {
		return fmt.Errorf("PersistMany: %w", err)
	}
	c.note(recs...)
	more := append(slices.Clone(recs), fixture.NewRecord())
	results, err := c.store.PersistMany(ctx, more)
	if err != nil || results[0].Outcome != audit.AlreadyPersisted || results[5].Outcome != audit.Persisted {
		return fmt.Errorf("PersistMany with one more: %w, %+v", err, results)
	}
	c.note(more[5])
	return nil
}

// persistInTransaction meets three kinds of refusals in the middle of the caller's work.
func (c *caller) persistInTransaction(ctx context.Context) error {
	recs := fixture.NewRecords(4)
	conflicting, invalid := recs[0], fixture.NewRecord()
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

func (c *caller) rollBack(ctx context.Context) error {
	rec := fixture.NewRecord()
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
		return fmt.Errorf("the Get of a record rolled back: %w, want ErrNotFound", err)
	}
	return nil
}
