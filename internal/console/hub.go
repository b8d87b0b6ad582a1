package console

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

const (
	// keptEvents is how many of the latest records are kept for the watchers. One that falls
	// further behind gets a message that says so.
	keptEvents = 2000

	// keptTime is how long they are kept, for a watcher that connects again. A text may be
	// erased later, or a record expire, and must not come out of here then.
	keptTime = 5 * time.Minute

	// keptBytes bounds the texts of what is kept. A reason may have 64 KiB.
	keptBytes = 32 << 20

	// keptTenants bounds of how many tenants a run knows that events of theirs are no longer kept.
	keptTenants = 10_000

	// mostFollowed is how many records one look reads. If more are stored between two looks, the
	// hub skips them and the watchers learn of it. So a tail costs the same at any rate of writes.
	mostFollowed = audit.MaxPageSize

	// lookTime bounds one look at the trail.
	lookTime = 30 * time.Second

	// linger is how long the hub follows after the last watcher has left.
	linger = 30 * time.Second

	// readyTime is how long a page waits for the hub's first look.
	readyTime = 2 * time.Second
)

// hub follows the trail once for all watchers, however many they are, and only while there is
// one. It keeps the latest records, and each watcher takes what it may see.
type hub struct {
	store *coordaudit.Store
	scope audit.Scope
	poll  time.Duration
	log   *slog.Logger
	slots chan struct{} // as many as may watch

	wake  chan struct{}
	ended chan struct{}
	once  sync.Once

	mu       sync.Mutex
	session  string // names the run of following; a position belongs to one
	events   []*event
	next     int64            // the number of the next event of the run
	left     map[string]int64 // by tenant, the number after that of its latest event that is no longer kept
	leftAll  int64            // the same for all tenants that left has no room for
	watchers int
	wanted   time.Time // until when to follow without watchers
	ready    bool      // the first look is over
	skips    int       // how often records were skipped
	trouble  string    // why there is nothing new; empty if all is well
	changed  chan struct{}
}

func newHub(store *coordaudit.Store, scope audit.Scope, poll time.Duration, log *slog.Logger, most int) *hub {
	return &hub{
		store: store, scope: scope, poll: poll, log: log, slots: make(chan struct{}, most),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), changed: make(chan struct{}),
	}
}

// close ends all watching.
func (h *hub) close() { h.once.Do(func() { close(h.ended) }) }

// run follows while someone watches, until ctx ends.
func (h *hub) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-h.wake:
			h.follow(ctx)
		}
	}
}

// follow is one run, from now until it has had no watcher for a while.
func (h *hub) follow(ctx context.Context) {
	h.begin()
	q := audit.FollowQuery{Scope: h.scope, From: audit.FromNow(), Limit: mostFollowed}
	failures := 0
	for !h.isOver(ctx) {
		page, err := h.look(ctx, q)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures++
			q.From = h.afterFailure(ctx, q.From, err, failures)
			wait.For(ctx, min(time.Duration(failures)*h.poll, 10*time.Second))
		default:
			failures = 0
			q.From = audit.FromCursor(page.Next)
			if page.More { // reading all of it would cost the writers, and no one reads it
				q.From = audit.FromNow()
			}
			h.deliver(page.Records, page.More)
			wait.For(ctx, h.poll)
		}
	}
}

// look reads one page. A database that does not answer at all would otherwise stop the tail
// silently.
func (h *hub) look(ctx context.Context, q audit.FollowQuery) (audit.FollowPage, error) {
	bounded, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return h.store.FollowPage(bounded, q)
}

func (h *hub) begin() {
	var name [8]byte
	_, _ = rand.Read(name[:]) // never fails
	h.mu.Lock()
	defer h.mu.Unlock()
	h.session, h.events, h.next, h.ready, h.trouble = hex.EncodeToString(name[:]), nil, 0, false, ""
	h.left, h.leftAll = make(map[string]int64), 0
	h.tell()
}

// isOver ends the run if no one wants it any more. A watcher that comes later begins another.
func (h *hub) isOver(ctx context.Context) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() == nil && (h.watchers > 0 || time.Now().Before(h.wanted)) {
		return false
	}
	h.session, h.events, h.ready = "", nil, false
	h.tell()
	return true
}

func (h *hub) deliver(recs []audit.Followed, skipped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ready && h.trouble == "" && len(recs) == 0 {
		return
	}
	h.ready, h.trouble = true, ""
	now := time.Now()
	for i := range recs {
		h.events = append(h.events, &event{Followed: recs[i], at: now})
	}
	if skipped {
		h.skips++
	}
	h.next += int64(len(recs))
	h.forget(now)
	h.tell()
}

// forget leaves out what is old, or too much to keep. The caller holds the lock.
func (h *hub) forget(now time.Time) {
	kept, bytes := 0, 0
	for _, one := range slices.Backward(h.events) {
		bytes += len(one.Reason) + len(one.Details)
		if kept == keptEvents || bytes > keptBytes || now.Sub(one.at) >= keptTime {
			break
		}
		kept++
	}
	gone := len(h.events) - kept
	for i, one := range h.events[:gone] {
		if len(h.left) == keptTenants {
			clear(h.left)
			h.leftAll = h.next - int64(len(h.events)-i)
		}
		h.left[one.TenantID] = h.next - int64(len(h.events)-i) + 1
	}
	if gone > 0 {
		h.events = append([]*event(nil), h.events[gone:]...)
	}
}

// afterFailure says what the trouble is, and where to go on.
func (h *hub) afterFailure(ctx context.Context, from audit.Start, err error, failures int) audit.Start {
	trouble := "The database is away. The console tries again."
	forked, isForked := errors.AsType[*audit.CursorForkedError](err)
	switch {
	case isForked:
		trouble = "The trail was restored or failed over. What is shown may be gone from it: load the page again."
		from = audit.FromNow()
		if forked.Resume != "" {
			from = audit.FromCursor(forked.Resume)
		}
	case errors.Is(err, audit.ErrCannotFollow) || errors.Is(err, audit.ErrRefused):
		trouble = "The role of this console cannot follow the trail."
	case errors.Is(err, audit.ErrLimit):
		trouble = "A limit of the server ended the look for new records. The console tries again."
	}
	if failures == 1 {
		h.log.LogAttrs(ctx, slog.LevelWarn, "coordination_console_follow_failed", slog.String("error", logged(err)))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready, h.trouble = true, trouble
	h.tell()
	return from
}

// tell wakes those who wait for a change. The caller holds the lock.
func (h *hub) tell() {
	close(h.changed)
	h.changed = make(chan struct{})
}
