package hooks_test

import (
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/hooks"
)

func TestBlockingHooks(t *testing.T) {
	t.Parallel()
	var guard hooks.Guard
	release := make(chan struct{})
	var blocking sync.WaitGroup
	const all = 100
	for range all {
		blocking.Add(1)
		before := guard.Skipped()
		if guard.Do(func() {
			defer blocking.Done()
			<-release
		}) {
			t.Fatal("a hook that blocks has returned")
		}
		if guard.Skipped() > before {
			blocking.Done()
		}
	}
	if left := all - guard.Skipped(); left < 1 || left > 16 {
		t.Errorf("%d hooks are left behind", left)
	}
	close(release)
	blocking.Wait()
	for deadline := time.Now().Add(30 * time.Second); !guard.Do(func() {}); {
		if time.Now().After(deadline) {
			t.Fatal("hooks are skipped, although none blocks any longer")
		}
	}
}

func TestGoexit(t *testing.T) {
	t.Parallel()
	var guard hooks.Guard
	if !guard.Do(runtime.Goexit) {
		t.Error("the call waits after runtime.Goexit")
	}
}

func TestSlowSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var guard hooks.Guard
		var calls atomic.Int64
		if !guard.Each(10, func(int) {
			time.Sleep(90 * time.Millisecond)
			calls.Add(1)
		}) {
			t.Error("hooks that return are left behind")
		}
		if got := calls.Load(); got != 10 {
			t.Errorf("%d calls, want 10", got)
		}
	})
}

func TestLongSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var guard hooks.Guard
		var calls atomic.Int64
		begin := time.Now()
		if guard.Each(100, func(int) {
			time.Sleep(90 * time.Millisecond)
			calls.Add(1)
		}) {
			t.Error("the call has waited nine seconds for hooks")
		}
		if took := time.Since(begin); took > 1100*time.Millisecond {
			t.Errorf("the call has waited for %v", took)
		}
		time.Sleep(10 * time.Second)
		if got := calls.Load(); got != 100 {
			t.Errorf("%d calls, want 100: the rest of the series runs too", got)
		}
	})
}

func TestGoexitInSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var guard hooks.Guard
		var calls atomic.Int64
		if !guard.Each(3, func(i int) {
			calls.Add(1)
			if i < 2 {
				runtime.Goexit()
			}
		}) {
			t.Error("the call has not waited for the series")
		}
		if got := calls.Load(); got != 3 {
			t.Errorf("%d calls, want 3", got)
		}
	})
}

// A container with a quota gets no processor time for up to 100 ms. Many hooks are then late
// at once.
func TestLateHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var guard hooks.Guard
		release := make(chan struct{})
		for range 16 {
			guard.Do(func() { <-release })
		}
		time.AfterFunc(50*time.Millisecond, func() { close(release) })
		if !guard.Do(func() {}) {
			t.Error("the next hook is not called")
		}
		if skipped := guard.Skipped(); skipped != 0 {
			t.Errorf("%d hooks are skipped", skipped)
		}
	})
}

func TestPanickingHook(t *testing.T) {
	t.Parallel()
	var guard hooks.Guard
	if !guard.Do(func() { hooks.Safely(t.Context(), slog.New(panicking{}), "test", func() { panic("hook") }) }) {
		t.Error("the call waits after a panic")
	}
	log := hooks.NewLogger(slog.New(panicking{}), &guard)
	log.With(slog.Int("a", 1)).WithGroup("g").InfoContext(t.Context(), "a line")
}

type panicking struct{ slog.Handler }

func BenchmarkDo(b *testing.B) {
	var guard hooks.Guard
	for b.Loop() {
		guard.Do(func() {})
	}
}
