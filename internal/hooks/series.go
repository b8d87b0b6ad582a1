package hooks

import (
	"sync/atomic"
	"time"
)

// series calls a hook n times.
type series struct {
	n    int64
	hook func(i int)
	next atomic.Int64
	done chan struct{}
}

// run makes the calls that are left. A hook that ends its goroutine does not end the series.
func (s *series) run() {
	defer func() {
		if s.next.Load() < s.n {
			go s.run()
			return
		}
		close(s.done)
	}()
	for s.next.Load() < s.n {
		s.hook(int(s.next.Add(1) - 1))
	}
}

// wait reports whether the series has ended. It gives up when no call has begun for the time
// of patience.
func (s *series) wait(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	begun := s.next.Load()
	for until := time.Now().Add(maxPatience); ; {
		select {
		case <-s.done:
			return true
		case <-timer.C:
		}
		now := s.next.Load()
		if now == begun || time.Now().After(until) {
			return false
		}
		begun = now
		timer.Reset(patience)
	}
}
