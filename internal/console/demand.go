package console

import (
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// demand keeps the hub following for a while, and wakes it.
func (h *hub) demand() {
	h.mu.Lock()
	h.wanted = time.Now().Add(linger)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// here is the place from which a page that is read now misses nothing. It waits until the hub
// follows, but not for long.
func (h *hub) here(ctx context.Context) position {
	h.demand()
	timer := time.NewTimer(readyTime)
	defer timer.Stop()
	for {
		h.mu.Lock()
		at, ready, changed := position{h.session, h.next}, h.ready, h.changed
		h.mu.Unlock()
		if ready && at.run != "" {
			return at
		}
		select {
		case <-changed:
		case <-timer.C:
			return at
		case <-ctx.Done():
			return at
		}
	}
}

// batch is what came after a position.
type batch struct {
	events  []*event
	lost    bool // some of it is no longer kept
	skips   int  // how often the hub has skipped records, in all
	trouble string
	at      position
	changed <-chan struct{}
}

// since returns what came after a position. A position of another run has lost its place. One
// of no run was made before the run began, and gets all of it. What is no longer kept is lost to
// those alone who may see it: the others must not learn of it.
func (h *hub) since(at position, scope audit.Scope) batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(time.Now())
	b := batch{trouble: h.trouble, skips: h.skips, at: position{h.session, h.next}, changed: h.changed}
	if at.run == "" {
		at.run = h.session
	}
	if at.run != h.session || at.n > h.next {
		b.lost = true
		return b
	}
	missing := h.next - at.n
	if kept := int64(len(h.events)); missing > kept {
		b.lost, missing = h.lost(at.n, scope), kept
	}
	b.events = append([]*event(nil), h.events[int64(len(h.events))-missing:]...)
	return b
}

// lost reports whether an event of the scope from a number on is no longer kept. The caller holds
// the lock.
func (h *hub) lost(from int64, scope audit.Scope) bool {
	if !scope.IsAllTenants() {
		return max(h.left[scope.TenantID()], h.leftAll) > from
	}
	return true
}

// watch takes a slot, and says how often the hub has skipped records so far. It is not ok if
// all slots are taken.
func (h *hub) watch() (skips int, leave func(), ok bool) {
	select {
	case h.slots <- struct{}{}:
	default:
		return 0, nil, false
	}
	h.mu.Lock()
	h.watchers++
	skips = h.skips
	h.mu.Unlock()
	h.demand()
	return skips, func() {
		h.mu.Lock()
		h.watchers--
		h.wanted = time.Now().Add(linger)
		h.mu.Unlock()
		<-h.slots
	}, true
}
