package recorder_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/recorder"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// deaf ignores every report.
type deaf struct{}

func (deaf) Finished(context.Context, *audit.Record, audit.Result, error, time.Duration) {}
func (deaf) Flushed(context.Context, audit.Flush)                                        {}

func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	dir, found, err := spool.Open(spool.Config{Path: t.TempDir(), MaxBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	var back atomic.Int64 // nanoseconds
	machine := recorder.Start(recorder.Config{
		Source: uuid.New(), MaxRecords: 10, MaxBytes: 1 << 20, MaxBatch: 10,
		AttemptTimeout: time.Second, RetryBudget: time.Second, FirstDelay: 10 * time.Millisecond, MaxDelay: 100 * time.Millisecond,
		Now:    func() time.Time { return time.Now().Add(-time.Duration(back.Load())) },
		Logger: slog.New(slog.DiscardHandler),
	}, auditdriver.New(db.Pool), dir, found, deaf{})
	t.Cleanup(func() { _ = machine.Close(context.Background()) })

	lock, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(context.Background()) }()
	if _, err := lock.Exec(t.Context(), "LOCK TABLE coordination_audit_records"); err != nil {
		t.Fatal(err)
	}
	fill := func() {
		for range 20 {
			rec := loadgen.NewRecord()
			if err := machine.Enqueue(t.Context(), &rec); err != nil && !errors.Is(err, audit.ErrDropped) {
				t.Fatal(err)
			}
		}
	}
	fill()
	back.Store(int64(time.Hour))
	fill()
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() bool { return machine.Stats().Total().Persisted == 10 })
	requireGaps(t, coordaudit.New(db.Pool, quiet()), 30)
	if err := machine.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if total := machine.Stats().Total(); total.Accepted != 40 || total.AccountedFor() != 40 {
		t.Errorf("%+v, want 40 accounted for", total)
	}
}

// A goroutine inherits the labels of the goroutine that started it. So this test can tell
// its own goroutines from those of other tests.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	away, err := coordaudit.Open(t.Context(), "postgres://none@127.0.0.1:1/none?sslmode=disable", quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(away.Close)
	pprof.Do(t.Context(), pprof.Labels("of", label), func(ctx context.Context) {
		for _, store := range []*coordaudit.Store{coordaudit.New(db.Pool, quiet()), away} {
			r := newRecorder(t, store, coordaudit.RecorderConfig{SpoolDir: t.TempDir(), WaitTimeout: 100 * time.Millisecond})
			var callers sync.WaitGroup
			for range 10 {
				callers.Go(func() {
					_, _ = r.Record(ctx, loadgen.NewRecord()) // pending, where the database is away
					_ = r.Enqueue(loadgen.NewRecord())
				})
			}
			callers.Wait()
			if n := labelled(t); n == 0 {
				t.Error("no goroutine has the label, so this test would miss a leak")
			}
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			if err := r.Close(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	// pgx closes a connection that it gives up in a goroutine of its own.
	eventually(t, 20*time.Second, func() bool { return labelled(t) == 0 })
}

const label = "what the recorder started"

func labelled(t *testing.T) int {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	return strings.Count(profile.String(), label)
}
