package recorder

import (
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
)

// state is where an accepted record is at one moment.
type state int

const (
	queued state = iota
	spooled
	persisted
	alreadyPersisted
	skipped
	rejected
	dropped
	states
)

// ledger counts accepted records and where each of them is. It counts accepting and moving
// separately, under one lock. The identity of [audit.RecorderCounts] checks that they agree.
type ledger struct {
	mu       sync.Mutex
	accepted [classes]int64
	in       [classes][states]int64
}

const classes = 5

// classIndex is a class's index in [audit.EnvelopeClasses]. An accepted record has one of
// the five.
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

func (l *ledger) move(class audit.EnvelopeClass, from, to state) { l.moveMany(class, from, to, 1) }

func (l *ledger) moveMany(class audit.EnvelopeClass, from, to state, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in[classIndex(class)][from] -= n
	l.in[classIndex(class)][to] += n
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
			Spooled:          l.in[i][spooled],
			Rejected:         l.in[i][rejected],
			Dropped:          l.in[i][dropped],
		}
	}
	return counts
}
