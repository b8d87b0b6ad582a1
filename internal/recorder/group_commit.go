package recorder

import (
	"context"
	"time"
)

// maxLinger is the longest that a batch waits for the callers that are expected.
const maxLinger = 500 * time.Microsecond

// groupCommit decides whether a batch waits for more records. Callers that were answered
// together return together, a few microseconds apart. Without a short wait the first of
// them would be sent alone, and the others would wait for its commit, every time. After a
// batch with a single caller no one is expected, so a lone caller never waits.
type groupCommit struct {
	queue    *queue
	expected int
	linger   time.Duration
}

// observe notes how many callers are about to be answered, how many already wait, and how
// long the batch took. Call it before the answers, because afterwards both wait alike.
func (g *groupCommit) observe(batch []*entry, took time.Duration) {
	g.expected = 0
	for _, e := range batch {
		if e.answer != nil {
			g.expected++
		}
	}
	if g.expected > 1 {
		waiting, _ := g.queue.waits()
		g.expected += waiting
	}
	g.linger = min(maxLinger, took/4)
}

func (g *groupCommit) wait(ctx context.Context) {
	if g.expected < 2 || g.queue.gather(g.expected) {
		return
	}
	timer := time.NewTimer(g.linger)
	defer timer.Stop()
	select {
	case <-g.queue.gathered:
	case <-timer.C:
	case <-ctx.Done():
	}
}
