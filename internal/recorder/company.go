package recorder

import (
	"context"
	"time"
)

// maxLinger is the longest that a batch is held for those who are expected.
const maxLinger = 500 * time.Microsecond

// company decides whether a batch waits for others. Callers that were answered
// together come back together, a few microseconds apart: without a moment's
// patience the first of them would travel alone and the others wait for its
// commit, each time anew. A lone caller has met nobody, so nobody is expected.
type company struct {
	queue    *queue
	expected int
	linger   time.Duration
}

// met notes who is about to be answered, who waits already, and how long the way
// took. It comes ahead of the answers, after which nobody could tell the two apart.
func (c *company) met(batch []*entry, took time.Duration) {
	c.expected = 0
	for _, e := range batch {
		if e.answer != nil {
			c.expected++
		}
	}
	if c.expected > 1 {
		waiting, _ := c.queue.waits()
		c.expected += waiting
	}
	c.linger = min(maxLinger, took/4)
}

func (c *company) await(ctx context.Context) {
	if c.expected < 2 || c.queue.gather(c.expected) {
		return
	}
	timer := time.NewTimer(c.linger)
	defer timer.Stop()
	select {
	case <-c.queue.gathered:
	case <-timer.C:
	case <-ctx.Done():
	}
}
