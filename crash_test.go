package coordaudit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	kills         = 20 // of the process, and the same number of the server
	childVariable = "COORDAUDIT_TEST_CRASH_CHILD"
)

// TestMain lets a test start this binary as the process that it kills. With the URL of a database it
// persists until it is killed.
func TestMain(m *testing.M) {
	if url := os.Getenv(childVariable); url != "" {
		if err := persistAndPrint(context.Background(), url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// persistAndPrint prints each id as soon as it is acknowledged.
func persistAndPrint(ctx context.Context, url string) error {
	store, err := coordaudit.Open(ctx, url, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	var printing sync.Mutex
	acknowledge := func(id uuid.UUID) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Println(id)
	}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				result, err := store.Persist(ctx, fixture.NewRecord())
				if err == nil {
					acknowledge(result.AuditID)
				}
			}
		})
	}
	writers.Wait()
	return nil
}

func randomMoment() time.Duration {
	return 30*time.Millisecond + rand.N(150*time.Millisecond)
}

func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	db := testdb.NewOn(t, testdb.Durable(t))
	var acknowledged []uuid.UUID
	for range kills {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childVariable+"="+db.URL)
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		if !lines.Scan() {
			t.Fatalf("the child acknowledged nothing: %v", lines.Err())
		}
		killer := time.AfterFunc(randomMoment(), func() { _ = child.Process.Kill() })
		for more := true; more; more = lines.Scan() {
			if id, err := uuid.Parse(lines.Text()); err == nil { // the last line may be incomplete
				acknowledged = append(acknowledged, id)
			}
		}
		killer.Stop()
		_ = child.Wait() // it was killed
	}
	requireEach(t, db.Pool, acknowledged)
}

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db := testdb.NewOn(t, server)
	var (
		mu           sync.Mutex
		acknowledged []uuid.UUID
	)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 6 {
		persist := []persisting{persistOne, persistInTx, persistBatch}[i%3]
		writers.Go(func() {
			store := coordaudit.New(db.Pool, fixture.Quiet())
			for ctx.Err() == nil {
				ids := persist(ctx, store, db.Pool)
				mu.Lock()
				acknowledged = append(acknowledged, ids...)
				mu.Unlock()
			}
		})
	}
	for range kills {
		time.Sleep(randomMoment())
		if err := server.Kill(); err != nil {
			t.Error(err)
			break
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Error(err)
			break
		}
	}
	time.Sleep(randomMoment())
	stop()
	writers.Wait()
	requireEach(t, db.Pool, acknowledged)
}

// persisting makes one call and returns the acknowledged ids.
type persisting func(context.Context, *coordaudit.Store, *pgxpool.Pool) []uuid.UUID

func persistOne(ctx context.Context, store *coordaudit.Store, _ *pgxpool.Pool) []uuid.UUID {
	result, err := store.Persist(ctx, fixture.NewRecord())
	if err != nil {
		return nil
	}
	return []uuid.UUID{result.AuditID}
}

func persistInTx(ctx context.Context, store *coordaudit.Store, pool *pgxpool.Pool) []uuid.UUID {
	var result audit.Result
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		result, err = store.PersistTx(ctx, tx, fixture.NewRecord())
		return err
	})
	if err != nil {
		return nil
	}
	return []uuid.UUID{result.AuditID}
}

func persistBatch(ctx context.Context, store *coordaudit.Store, _ *pgxpool.Pool) []uuid.UUID {
	results, err := store.PersistMany(ctx, fixture.NewRecords(20))
	if err != nil {
		return nil
	}
	var ids []uuid.UUID
	for _, result := range results {
		ids = append(ids, result.AuditID)
	}
	return ids
}

// requireEach checks that each id is stored exactly once.
func requireEach(t *testing.T, pool *pgxpool.Pool, ids []uuid.UUID) {
	t.Helper()
	if len(ids) < kills {
		t.Fatalf("only %d ids were acknowledged over %d kills, which proves nothing", len(ids), kills)
	}
	stored := fixture.QueryInt(t, pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = ANY($1)", ids)
	if stored != len(ids) {
		t.Errorf("%d of %d acknowledged ids are stored", stored, len(ids))
	}
	t.Logf("%d acknowledged ids, all stored, over %d kills", len(ids), kills)
}

// The server is killed during a COPY. The whole batch is stored or none of it, and persisting it again
// completes it.
func TestKilledCopyIsCompleted(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db := testdb.NewOn(t, server)
	config := fixture.Quiet()
	config.Timeout, config.Retries = time.Minute, -1
	store := fixture.OpenStore(t, db.URL, config)
	struck := 0
	for round := range 5 {
		recs := fixture.NewRecords(coordaudit.MaxBatch)
		loaded := make(chan error, 1)
		go func() {
			_, err := store.PersistManyFast(t.Context(), recs)
			loaded <- err
		}()
		awaitCopy(t, db.Pool, loaded)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		err := <-loaded
		if err != nil {
			struck++
		}
		if err != nil && !errors.Is(err, audit.ErrOutcomeUnknown) && !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("PersistManyFast() = %v, want doubt or nothing stored", err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		db.Pool.Reset()
		const count = "SELECT count(*) FROM coordination_audit_records"
		if n := fixture.QueryInt(t, db.Pool, count) - round*len(recs); n != len(recs) && (n != 0 || err == nil) {
			t.Errorf("%d rows of a batch of %d, after PersistManyFast() = %v", n, len(recs), err)
		}
		counts := persistUntilItWorks(t, store, recs)
		if counts.Persisted+counts.AlreadyPersisted != int64(len(recs)) {
			t.Errorf("persisted again: %+v", counts)
		}
		if n := fixture.QueryInt(t, db.Pool, count); n != (round+1)*len(recs) {
			t.Errorf("%d rows after %d batches of %d", n, round+1, len(recs))
		}
	}
	if struck == 0 {
		t.Error("no kill hit a COPY, which proves nothing")
	}
}

// awaitCopy returns when the server is in the middle of a COPY, or the call has ended.
func awaitCopy(t *testing.T, pool *pgxpool.Pool, loaded <-chan error) {
	t.Helper()
	for len(loaded) == 0 {
		if fixture.QueryInt(t, pool, "SELECT count(*) FROM pg_stat_progress_copy WHERE tuples_processed > 100") > 0 {
			return
		}
	}
}

// persistUntilItWorks tries until the pool has replaced the connections that the kill broke.
func persistUntilItWorks(t *testing.T, store *coordaudit.Store, recs []audit.Record) audit.Counts {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		counts, err := store.PersistManyFast(ctx, recs)
		if err == nil {
			return counts
		}
		if ctx.Err() != nil {
			t.Fatalf("PersistManyFast() = %v", err)
		}
	}
}
