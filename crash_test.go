package coordaudit_test

import (
	"bufio"
	"context"
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
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

const (
	kills         = 20 // of the process, and as many of the server
	childVariable = "COORDAUDIT_TEST_CRASH_CHILD"
)

// TestMain makes the test binary its own victim: started with a database's URL
// it persists until it is killed.
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
				receipt, err := store.Persist(ctx, newRecord())
				if err == nil {
					acknowledge(receipt.AuditID)
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

func TestAKilledProcessLosesNothingItAcknowledged(t *testing.T) {
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
			if id, err := uuid.Parse(lines.Text()); err == nil { // the last line may be cut short
				acknowledged = append(acknowledged, id)
			}
		}
		killer.Stop()
		_ = child.Wait() // it was killed
	}
	requireEach(t, db.Pool, acknowledged)
}

func TestAKilledServerLosesNothingItAcknowledged(t *testing.T) {
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
			store := coordaudit.New(db.Pool, quiet())
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

// persisting persists once and returns the ids that were acknowledged.
type persisting func(context.Context, *coordaudit.Store, *pgxpool.Pool) []uuid.UUID

func persistOne(ctx context.Context, store *coordaudit.Store, _ *pgxpool.Pool) []uuid.UUID {
	receipt, err := store.Persist(ctx, newRecord())
	if err != nil {
		return nil
	}
	return []uuid.UUID{receipt.AuditID}
}

func persistInTx(ctx context.Context, store *coordaudit.Store, pool *pgxpool.Pool) []uuid.UUID {
	var receipt audit.Receipt
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		receipt, err = store.PersistTx(ctx, tx, newRecord())
		return err
	})
	if err != nil {
		return nil
	}
	return []uuid.UUID{receipt.AuditID}
}

func persistBatch(ctx context.Context, store *coordaudit.Store, _ *pgxpool.Pool) []uuid.UUID {
	receipts, err := store.PersistMany(ctx, newRecords(20))
	if err != nil {
		return nil
	}
	var ids []uuid.UUID
	for _, receipt := range receipts {
		ids = append(ids, receipt.AuditID)
	}
	return ids
}

// requireEach checks that each id is stored exactly once.
func requireEach(t *testing.T, pool *pgxpool.Pool, ids []uuid.UUID) {
	t.Helper()
	if len(ids) < kills {
		t.Fatalf("only %d ids were acknowledged over %d kills, which proves nothing", len(ids), kills)
	}
	stored := queryInt(t, pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = ANY($1)", ids)
	if stored != len(ids) {
		t.Errorf("%d of %d acknowledged ids are stored", stored, len(ids))
	}
	t.Logf("%d acknowledged ids, all stored, over %d kills", len(ids), kills)
}
