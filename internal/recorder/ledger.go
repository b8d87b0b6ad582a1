package recorder

import (
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
)

// state is what an accepted record is in at one moment.
type state int

const (
	queued state = iota
	deadLettered
	persisted
	alreadyPersisted
	skipped
	rejected
	dropped
	states
)

// ledger counts accepted records and where each is. Accepting and moving are
// counted apart, under one lock: that the two agree is what the identity of
// [audit.RecorderCounts] checks.
type ledger struct {
	mu       sync.Mutex
	accepted [classes]int64
	in       [classes][states]int64
}

const classes = 5

// classIndex is a class's place in [audit.EnvelopeClasses]. An accepted record has
// one of the five.
func classIndex(class audit.EnvelopeClass) int {
	switch class {
	case audit.Safety:
		return 0
	case audit.Reliability:
		return 1
	case audit.Cost:
		return 2
	case audit.Performance:
		return 3
	default:
		return 4
	}
}

func (l *ledger) accept(class audit.EnvelopeClass, in state) { l.acceptMany(class, in, 1) }

func (l *ledger) acceptMany(class audit.EnvelopeClass, in state, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[classIndex(class)] += n
	l.in[classIndex(class)][in] += n
}

func (l *ledger) move(class audit.EnvelopeClass, from, to state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in[classIndex(class)][from]--
	l.in[classIndex(class)][to]++
}

func (l *ledger) counts() map[audit.EnvelopeClass]audit.RecorderCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make(map[audit.EnvelopeClass]audit.RecorderCounts, classes)
	for i, class := range audit.EnvelopeClasses() {
		counts[class] = audit.RecorderCounts{
			Accepted:         l.accepted[i],
			Persisted:        l.in[i][persisted],
			AlreadyPersisted: l.in[i][alreadyPersisted],
			Skipped:          l.in[i][skipped],
			Queued:           l.in[i][queued],
			DeadLettered:     l.in[i][deadLettered],
			Rejected:         l.in[i][rejected],
			Dropped:          l.in[i][dropped],
		}
	}
	return counts
}
