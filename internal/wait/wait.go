// Package wait waits for a time that ends early with its context.
package wait

import (
	"context"
	"time"
)

// For waits for d, and reports whether ctx was still alive then. It returns at once if d is
// not positive.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
