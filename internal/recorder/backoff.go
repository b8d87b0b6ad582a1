package recorder

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is exponential and capped. The upper half of each delay is random, so that
// recorders that failed together do not return together. These few lines are not worth a
// module in every importer's graph.
type backoff struct {
	first, max time.Duration
	failures   int
}

func (b *backoff) reset() { b.failures = 0 }

// next returns how long to wait after one more failure.
func (b *backoff) next() time.Duration {
	delay := b.max
	if b.failures < 20 { // beyond, the shift would overflow
		delay = min(b.max, b.first<<b.failures)
	}
	b.failures++
	return delay/2 + rand.N(delay/2+1) //nolint:gosec // no secret
}

// pause waits for d, or less if early is closed. It reports false if ctx has ended.
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

// signal leaves a token where none is.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
