package recorder_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	childURL = "COORDAUDIT_TEST_RECORDER_URL"
	childDir = "COORDAUDIT_TEST_RECORDER_DIR"
)

// TestMain makes the test binary its own victim. Started with a database's URL and a
// directory, it records until it is killed.
func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := recordAndPrint(context.Background(), url, os.Getenv(childDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// recordAndPrint prints each id that is durable by contract: Record has returned nil, or a
// Flush has returned nil after Enqueue.
func recordAndPrint(ctx context.Context, url, dir string) error {
	config := quiet()
	config.Timeout = 200 * time.Millisecond
	store, err := coordaudit.Open(ctx, url, config)
	if err != nil {
		return err
	}
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{
		SpoolDir: dir, RetryBudget: 50 * time.Millisecond, MaxRetryDelay: 100 * time.Millisecond, SegmentBytes: 20_000,
	})
	if err != nil {
		return err
	}
	var printing sync.Mutex
	report := func(ids ...uuid.UUID) {
		printing.Lock()
		defer printing.Unlock()
		for _, id := range ids {
			fmt.Println(id)
		}
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for {
				if i%2 == 0 {
					rec := loadgen.NewRecord()
					if _, err := recorder.Record(ctx, rec); err == nil {
						report(rec.AuditID)
					}
					continue
				}
				var ids []uuid.UUID
				for range 50 {
					rec := loadgen.NewRecord()
					if recorder.Enqueue(rec) == nil {
						ids = append(ids, rec.AuditID)
					}
				}
				if recorder.Flush(ctx) == nil {
					report(ids...)
				}
			}
		})
	}
	writers.Wait()
	return nil
}

// Half of the victims have no database, so that their spool fills. Each of them finds what
// the earlier ones left. At the end one more recorder stores all of it.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	dir := t.TempDir()
	var durable []uuid.UUID
	for i := range 20 {
		url := db.URL
		if i%2 == 1 {
			url = "postgres://none@127.0.0.1:1/none?sslmode=disable"
		}
		durable = append(durable, victim(t, url, dir)...)
	}
	if len(durable) < 200 {
		t.Fatalf("only %d records were durable over 20 kills, too few to prove anything", len(durable))
	}
	left := segments(t, dir)
	last := newRecorder(t, coordaudit.New(db.Pool, quiet()), coordaudit.RecorderConfig{SpoolDir: dir})
	found := last.Stats().Total().Accepted
	if found == 0 || len(left) == 0 {
		t.Errorf("the last victim left %d records in %d segments, too few to prove anything", found, len(left))
	}
	eventually(t, time.Minute, func() bool { return last.Stats().Total().Spooled == 0 })
	if err := last.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if total := last.Stats().Total(); total.Accepted != total.AccountedFor() || total.Rejected != 0 {
		t.Errorf("%+v does not add up", total)
	}
	var stored int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records WHERE audit_id = ANY($1)", durable).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if stored != len(durable) {
		t.Errorf("%d of %d durable records are stored", stored, len(durable))
	}
	if left := segments(t, dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	t.Logf("%d durable records over 20 kills, all stored once; the last recorder found %d in the spool", len(durable), found)
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// victim runs a child until it is killed and returns the ids that it printed.
func victim(t *testing.T, url, dir string) (ids []uuid.UUID) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+url, childDir+"="+dir)
	var stderr strings.Builder
	child.Stderr = &stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	printed := bufio.NewScanner(stdout)
	if !printed.Scan() {
		_ = child.Wait()
		t.Fatalf("the child printed no durable record: %s", stderr.String())
	}
	killer := time.AfterFunc(100*time.Millisecond, func() { _ = child.Process.Kill() })
	for more := true; more; more = printed.Scan() {
		if id, err := uuid.Parse(printed.Text()); err == nil { // the last line may be cut short
			ids = append(ids, id)
		}
	}
	killer.Stop()
	_ = child.Wait() // it was killed
	return ids
}
