// Package hooks calls the observers and log handlers of the caller so that none of them harms
// an audit. It logs a panic and continues. It continues after a hook that ends its goroutine.
// It does not wait for a hook that blocks.
package hooks

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// patience is how long a call waits for a hook. It waits only shortPatience while an
	// earlier hook is left behind.
	patience      = 100 * time.Millisecond
	shortPatience = 2 * time.Millisecond

	// maxPatience is how long a call waits for a series of hooks that return.
	maxPatience = time.Second

	// maxLeft bounds the hooks that are left behind, each with a goroutine. Beyond it hooks
	// are skipped, unless one of those returns within patience. So a process that gets no
	// processor time for a moment, because of a quota for example, skips no hook.
	maxLeft = 16
)

// Guard calls hooks. It has no goroutine while no hook runs. The zero value is ready for use.
type Guard struct {
	mu      sync.Mutex
	left    int
	skipped int64

	fullSince time.Time     // when left reached maxLeft
	room      chan struct{} // closed when left falls below maxLeft; nil while it is below
}

// Do calls a hook on a goroutine of its own and waits for it, but not for a hook that blocks.
// All calls together wait about 230 ms for hooks that do not return. Do reports whether the
// hook has returned, panicked or ended its goroutine.
func (g *Guard) Do(hook func()) (returned bool) {
	return g.Each(1, func(int) { hook() })
}

// Each calls a hook n times, one after the other, on one goroutine, because a switch to another
// goroutine costs about a microsecond. It waits like [Guard.Do] as long as one call after the
// other returns, but no longer than a second.
func (g *Guard) Each(n int, hook func(i int)) (returned bool) {
	if n == 0 {
		return true
	}
	wait, ok := g.begin()
	if !ok {
		return false
	}
	series := &series{n: int64(n), hook: hook, done: make(chan struct{})}
	go series.run()
	if series.wait(wait) {
		return true
	}
	g.leave(series.done)
	return false
}

// begin returns how long to wait for a hook. If the hook must be skipped, begin counts it and
// returns false.
func (g *Guard) begin() (wait time.Duration, ok bool) {
	for {
		g.mu.Lock()
		switch {
		case g.left == 0:
			wait, ok = patience, true
		case g.left < maxLeft:
			wait, ok = shortPatience, true
		}
		room, forRoom := g.room, patience-time.Since(g.fullSince)
		if !ok && forRoom <= 0 {
			g.skipped++
		}
		g.mu.Unlock()
		if ok || forRoom <= 0 {
			return wait, ok
		}
		select {
		case <-room:
		case <-time.After(forRoom):
		}
	}
}

// leave counts a hook as left behind until it ends.
func (g *Guard) leave(done <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left++
	if g.left >= maxLeft && g.room == nil {
		g.room, g.fullSince = make(chan struct{}), time.Now()
	}
	go func() {
		<-done
		g.returned()
	}()
}

func (g *Guard) returned() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left--
	if g.left < maxLeft && g.room != nil {
		close(g.room)
		g.room = nil
	}
}

// Skipped returns the number of hooks that were not called because too many earlier ones had
// not returned.
func (g *Guard) Skipped() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.skipped
}

// Safely calls a hook, recovers from a panic and logs it. Use it inside [Guard.Do].
func Safely(ctx context.Context, log *slog.Logger, name string, hook func()) {
	defer func() {
		if cause := recover(); cause != nil {
			logPanic(ctx, log, name, cause)
		}
	}()
	hook()
}

func logPanic(ctx context.Context, log *slog.Logger, name string, cause any) {
	defer func() { _ = recover() }() // the log handler panics too
	log.LogAttrs(ctx, slog.LevelError, "audit_observer_panicked",
		slog.String("hook", name), slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
}
