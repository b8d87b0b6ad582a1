package reporting

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// badHook is an observer and a log handler that does the same in each method.
type badHook struct {
	calls *atomic.Int64
	do    func()
}

func (h badHook) call() {
	h.calls.Add(1)
	h.do()
}

func (h badHook) ObservePersist(context.Context, audit.Observation) { h.call() }

func (h badHook) ObserveFlush(context.Context, audit.Flush) { h.call() }

func (h badHook) Enabled(context.Context, slog.Level) bool {
	h.call()
	return true
}

func (h badHook) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}

func (h badHook) WithAttrs([]slog.Attr) slog.Handler {
	h.call()
	return h
}

func (h badHook) WithGroup(string) slog.Handler {
	h.call()
	return h
}

// useAll makes every call that reaches a hook and returns how many rows it stores.
func useAll(t *testing.T, store *coordaudit.Store) (rows int) {
	t.Helper()
	config := frame.Hasty(t)
	config.MaxQueuedBytes = 256 << 10
	config.WaitTimeout = time.Minute
	recorder := frame.NewRecorder(t, store, config)
	fixture.MustPersist(t, store, fixture.NewRecord())
	if _, err := store.Persist(t.Context(), audit.Record{}); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("Persist: %v, want ErrInvalidRecord", err)
	}
	if _, err := store.PersistMany(t.Context(), fixture.NewRecords(5)); err != nil {
		t.Error(err)
	}
	if err := recorder.Enqueue(audit.Record{}); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("Enqueue: %v, want ErrInvalidRecord", err)
	}
	taken := fixture.NewRecord()
	if _, err := recorder.Record(t.Context(), taken); err != nil {
		t.Error(err)
	}
	taken.Reason = "another"
	if _, err := recorder.Record(t.Context(), taken); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("Record: %v, want ErrConflict", err)
	}
	if !recorder.Emit(t.Context(), fixture.NewRecord()) || recorder.Emit(t.Context(), audit.Record{}) {
		t.Error("Emit must accept what is valid, and nothing else")
	}
	frame.EnqueueAll(t, recorder, fixture.NewRecords(100))
	if err := recorder.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	frame.CloseRecorder(t, recorder)
	if err := recorder.Enqueue(fixture.NewRecord()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Enqueue: %v, want ErrClosed", err)
	}
	return 1 + 5 + 1 + 1 + 100
}

func panicHarmsNothing(t *testing.T, db frame.Database) {
	for name, do := range map[string]func(){"Panic": func() { panic("hook") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			hook := badHook{calls: new(atomic.Int64), do: do}
			store := fixture.OpenStore(t, db.URL, coordaudit.Config{
				Logger: slog.New(hook), Observer: hook, Tracer: coordaudit.NewTraceLogger(slog.New(hook)),
			})
			if want, got := useAll(t, store), fixture.CountRecords(t, db.Pool); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
			if calls := hook.calls.Load(); calls < 100 {
				t.Errorf("the hooks were called %d times only", calls)
			}
		})
	}
}

func blockedHookIsLeftBehind(t *testing.T, db frame.Database) {
	for name, enabled := range map[string]bool{"InLogHandlers": true, "InObservers": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			release := make(chan struct{})
			var once sync.Once
			t.Cleanup(func() { once.Do(func() { close(release) }) })
			hook := badHook{calls: new(atomic.Int64), do: func() { <-release }}
			config := fixture.Quiet()
			if enabled {
				config.Logger = slog.New(hook)
			} else {
				config.Observer = hook
			}
			store := fixture.OpenStore(t, db.URL, config)
			ended := make(chan struct{})
			var want int
			go func() {
				defer close(ended)
				want = useAll(t, store)
			}()
			select {
			case <-ended: // about 230 ms in all are guaranteed, and a busy machine takes longer
			case <-time.After(30 * time.Second):
				once.Do(func() { close(release) })
				t.Fatal("a hook that blocks holds up calls")
			}
			if got := fixture.CountRecords(t, db.Pool); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
			if calls := hook.calls.Load(); calls > 20 {
				t.Errorf("%d hooks block at once", calls)
			}
		})
	}
}
