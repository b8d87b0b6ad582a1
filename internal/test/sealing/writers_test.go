package sealing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// writers store records in every way of the product. Each goes on after an error: the server
// is killed under them.
type writers struct {
	trail   *trail
	store   *coordaudit.Store
	longest time.Duration // of a transaction
	ways    map[string]*atomic.Int64
	running sync.WaitGroup
	names   atomic.Int64 // of prepared transactions
}

func (r *trail) startWriters(ctx context.Context, longest time.Duration) *writers {
	w := &writers{trail: r, store: coordaudit.New(r.pool, fixture.Quiet()), longest: longest, ways: map[string]*atomic.Int64{}}
	for name, write := range map[string]func(context.Context) bool{
		"one by one": w.one, "many": w.many, "fast": w.fast, "in transactions": w.inTransaction,
		"prepared": w.prepared, "in a long transaction": w.long,
	} {
		done := &atomic.Int64{}
		w.ways[name] = done
		w.running.Go(func() {
			for ctx.Err() == nil {
				if write(ctx) {
					done.Add(1)
				}
				pause(ctx, rand.N(20*time.Millisecond))
			}
		})
	}
	w.startRecorder(ctx)
	return w
}

// startRecorder enqueues. Its statements and gaps are sealed, too.
func (w *writers) startRecorder(ctx context.Context) {
	recorder, err := w.store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: filepath.Join(w.trail.t.TempDir(), "spool")})
	if err != nil {
		w.trail.t.Fatal(err)
	}
	done := &atomic.Int64{}
	w.ways["recorder"] = done
	w.running.Go(func() {
		for ctx.Err() == nil {
			if recorder.Enqueue(fixture.NewRecord()) == nil {
				done.Add(1)
			}
			pause(ctx, rand.N(5*time.Millisecond))
		}
		closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = recorder.Close(closing) // what is left is in the spool
	})
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *writers) one(ctx context.Context) bool {
	_, err := w.store.Persist(ctx, fixture.NewRecord())
	return err == nil
}

func (w *writers) many(ctx context.Context) bool {
	_, err := w.store.PersistMany(ctx, fixture.NewRecords(1+rand.IntN(200)))
	pause(ctx, rand.N(50*time.Millisecond))
	return err == nil
}

func (w *writers) fast(ctx context.Context) bool {
	_, err := w.store.PersistManyFast(ctx, fixture.NewRecords(1+rand.IntN(1000)))
	pause(ctx, rand.N(500*time.Millisecond))
	return err == nil
}

// inTransaction stores a few records, some behind a savepoint that is rolled back, and then
// commits or does not.
func (w *writers) inTransaction(ctx context.Context) bool {
	tx, err := w.trail.pool.Begin(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for range 1 + rand.IntN(3) {
		if !w.inside(ctx, tx) {
			return false
		}
		pause(ctx, rand.N(100*time.Millisecond))
	}
	if rand.IntN(3) == 0 {
		return true
	}
	return tx.Commit(ctx) == nil
}

func (w *writers) inside(ctx context.Context, tx pgx.Tx) bool {
	if _, err := w.store.PersistTx(ctx, tx, fixture.NewRecord()); err != nil {
		return false
	}
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return false
	}
	if _, err := w.store.PersistTx(ctx, savepoint, fixture.NewRecord()); err != nil {
		return false
	}
	if rand.IntN(2) == 0 {
		return savepoint.Rollback(ctx) == nil
	}
	return savepoint.Commit(ctx) == nil
}

// prepared ends a transaction in two phases. One that a kill left behind is ended by a later
// call.
func (w *writers) prepared(ctx context.Context) bool {
	if rand.IntN(10) == 0 {
		w.resolve(ctx)
	}
	conn, err := w.trail.pool.Acquire(ctx)
	if err != nil {
		return false
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	name := fmt.Sprintf("soak-%d", w.names.Add(1))
	if !w.inside(ctx, tx) {
		return false
	}
	if _, err := conn.Exec(ctx, "PREPARE TRANSACTION '"+name+"'"); err != nil {
		return false
	}
	pause(ctx, rand.N(200*time.Millisecond))
	_, err = conn.Exec(ctx, ending()+" PREPARED '"+name+"'")
	return err == nil
}

func ending() string {
	if rand.IntN(3) == 0 {
		return "ROLLBACK"
	}
	return "COMMIT"
}

// resolve ends every prepared transaction.
func (w *writers) resolve(ctx context.Context) {
	rows, err := w.trail.pool.Query(ctx, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
	if err != nil {
		return
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return
	}
	for _, name := range names {
		_, _ = w.trail.pool.Exec(ctx, ending()+" PREPARED '"+name+"'") // its owner may have ended it
	}
}

// long keeps a transaction open for longer than the sealer's patience, and stores records
// meanwhile.
func (w *writers) long(ctx context.Context) bool {
	tx, err := w.trail.pool.Begin(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for started := time.Now(); time.Since(started) < w.longest; {
		if _, err := w.store.PersistTx(ctx, tx, fixture.NewRecord()); err != nil {
			return false
		}
		pause(ctx, w.longest/20)
	}
	return tx.Commit(ctx) == nil
}
