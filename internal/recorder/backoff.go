package recorder

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a capped exponential one with full jitter in its upper half: recorders
// that failed together do not come back together. Own code, since the few lines
// are not worth a module in every importer's graph.
type backoff struct {
	first, most time.Duration
	failures    int
}

func (b *backoff) reset() { b.failures = 0 }

// next returns how long to wait after one more failure.
func (b *backoff) next() time.Duration {
	delay := b.most
	if b.failures < 20 { // beyond, the shift would overflow
		delay = min(b.most, b.first<<b.failures)
	}
	b.failures++
	return delay/2 + rand.N(delay/2+1) //nolint:gosec // no secret
}

// pause waits, at most until early is closed, and reports false if ctx ended.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// awaken waits for a token and reports false when the machine ends.
func awaken(ctx context.Context, wake <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	default:
	}
	select {
	case <-wake:
		return true
	case <-ctx.Done():
		return false
	}
}
