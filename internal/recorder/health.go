package recorder

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// health is what the recorder believes of the database. It is away when nothing
// was stored for a whole retry budget, although it was tried.
type health struct {
	budget time.Duration
	logger *slog.Logger
	turned func(away bool) // must not ask health

	mu      sync.Mutex
	failing time.Time // since when; zero while the last answer was a good one
	away    bool
	stored  int64 // batches, ever
}

func newHealth(budget time.Duration, logger *slog.Logger, turned func(away bool)) *health {
	return &health{budget: budget, logger: logger, turned: turned}
}

// succeeded notes a stored batch.
func (h *health) succeeded(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored++
	h.failing = time.Time{}
	if h.away {
		h.away = false
		h.turned(false)
		h.logger.LogAttrs(ctx, slog.LevelInfo, "audit_database_back")
	}
}

// failed notes a batch that the database did not take, for now.
func (h *health) failed(ctx context.Context, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing.IsZero() {
		h.failing = time.Now()
	}
	if !h.away && time.Since(h.failing) >= h.budget {
		h.away = true
		h.turned(true)
		h.logger.LogAttrs(ctx, slog.LevelWarn, "audit_database_away",
			slog.String("error", err.Error()), slog.Duration("retried_for", time.Since(h.failing)))
	}
}

func (h *health) isAway() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away
}

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
