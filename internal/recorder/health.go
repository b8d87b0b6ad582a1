package recorder

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// health is what the recorder knows about the database. The database is away when nothing
// was stored for a whole retry budget, although batches were sent.
type health struct {
	budget time.Duration
	turned func(away bool) // must not call health
	log    *slog.Logger

	mu       sync.Mutex
	failing  time.Time     // since when; zero after a success
	answered chan struct{} // closed when failing ends
	away     bool
	stored   int64 // batches, ever

	// inserted counts the attempts that inserted a record. An attempt whose records were all
	// stored before proves nothing, because no foreign key and no index is checked for them.
	inserted int64
}

func newHealth(budget time.Duration, turned func(away bool), log *slog.Logger) *health {
	return &health{budget: budget, turned: turned, log: log, answered: make(chan struct{})}
}

// noteSuccess notes a stored batch.
func (h *health) noteSuccess(ctx context.Context) {
	if h.succeeded() {
		h.log.LogAttrs(ctx, slog.LevelInfo, "audit_database_back")
	}
}

// noteFailure notes a batch or a gap that the database did not take, for now.
func (h *health) noteFailure(ctx context.Context, err error) {
	if h.failed() {
		h.log.LogAttrs(ctx, slog.LevelWarn, "audit_database_away", slog.String("error", err.Error()))
	}
}

// succeeded reports whether the database was away until now.
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

// failed reports whether the database counts as away from now on.
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

// answers reports whether the last batch was stored, or none was sent yet.
func (h *health) answers() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing.IsZero()
}

// storedBatches is the number of stored batches.
func (h *health) storedBatches() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stored
}

func (h *health) noteInsertion() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inserted++
}

// insertions is the number of attempts that inserted a record.
func (h *health) insertions() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inserted
}

// nextAnswer is closed when a batch is stored after one that failed.
func (h *health) nextAnswer() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered
}
