package wait_test

import (
	"context"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/wait"
)

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	for _, d := range []time.Duration{-time.Hour, 0, time.Hour} {
		if wait.For(ended, d) {
			t.Errorf("%v: the context has ended, and For says that it is alive", d)
		}
	}
	for _, d := range []time.Duration{-time.Hour, 0, time.Millisecond} {
		if !wait.For(t.Context(), d) {
			t.Errorf("%v: the context is alive, and For says that it has ended", d)
		}
	}
}
