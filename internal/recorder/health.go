package recorder

import (
	"sync"
	"time"
)

// health is what the recorder believes of the database. It is away when nothing
// was stored for a whole retry budget, although it was tried.
type health struct {
	budget time.Duration
	turned func(away bool) // must not ask health

	mu       sync.Mutex
	failing  time.Time     // since when; zero while the last answer was a good one
	answered chan struct{} // closed when failing ends
	away     bool
	stored   int64 // batches, ever
}

func newHealth(budget time.Duration, turned func(away bool)) *health {
	return &health{budget: budget, turned: turned, answered: make(chan struct{})}
}

// succeeded notes a stored batch, and reports whether the database was away.
func (h *health) succeeded() (back bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored++
	if h.failing.IsZero() {
		return false
	}
	h.failing = time.Time{}
	close(h.answered)
	h.answered = make(chan struct{})
	return h.turn(false)
}

// failed notes a batch that the database did not take, for now, and reports
// whether it counts as away since this moment.
func (h *health) failed() (gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing.IsZero() {
		h.failing = time.Now()
	}
	return time.Since(h.failing) >= h.budget && h.turn(true)
}

func (h *health) turn(away bool) (turned bool) {
	if h.away == away {
		return false
	}
	h.away = away
	h.turned(away)
	return true
}

func (h *health) isAway() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away
}

// answers reports whether the last batch was stored, or none was sent.
func (h *health) answers() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing.IsZero()
}

// storedBatches rises with each batch that was stored.
func (h *health) storedBatches() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stored
}

// nextAnswer is closed when a batch is stored after one that failed.
func (h *health) nextAnswer() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered
}
