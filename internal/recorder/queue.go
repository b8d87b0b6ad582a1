package recorder

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// errFull: the queue's bounds are reached.
var errFull = errors.New("the queue is full")

// What a queued record counts: twice what it takes, for the garbage collector lets
// the heap grow to twice what lives. So the bound is one of the process's memory.
const (
	entryOverhead  = 640 // twice an entry, its size class included
	bytesOfOneByte = 2
)

// entry is one accepted record until it is settled.
type entry struct {
	rec      audit.Record
	size     int64
	ticket   int64 // rises in the order of acceptance
	accepted time.Time

	// Of a caller that waits, else nil. The channel takes one answer without
	// blocking; of the context only the values are used.
	answer chan answer
	caller context.Context //nolint:containedctx // observers are told of the record's end in its caller's name
}

// answer is how a record's time in the queue ended.
type answer struct {
	receipt audit.Receipt
	err     error
}

func newEntry(rec *audit.Record) *entry {
	texts := len(rec.EnvelopeID) + len(rec.Reason) + len(rec.ConflictingEnvelopeID) + len(rec.PreemptingEnvelopeID) +
		len(rec.TenantID) + len(rec.TargetSubsystem) + len(rec.TargetParameter)
	return &entry{rec: *rec, size: entryOverhead + bytesOfOneByte*int64(texts)}
}

// hand is who holds entries that are taken and not settled.
type hand int

const (
	flusherHand hand = iota
	spillerHand
	hands
)

// queue holds accepted records in their order. What a hand has taken still counts
// against the bounds: it still takes memory.
type queue struct {
	maxRecords int
	maxBytes   int64
	ledger     *ledger

	// ready and crowded wake the flusher and the spiller: a token says that there may
	// be something to do.
	ready, crowded chan struct{}

	// gathered tells the flusher that as many wait as it expects.
	gathered chan struct{}

	mu           sync.Mutex
	expected     int // 0: none in particular
	waiting      ring
	waitingBytes int64
	heldRecords  int
	heldBytes    int64
	inHand       [hands][]*entry
	lastTicket   int64
	closed       bool
	urgent       bool          // the database is away: nothing is to stay in memory
	settled      chan struct{} // closed at the next settling, where somebody waits for one
}

func newQueue(maxRecords int, maxBytes int64, ledger *ledger) *queue {
	return &queue{
		maxRecords: maxRecords,
		maxBytes:   maxBytes,
		ledger:     ledger,
		ready:      make(chan struct{}, 1),
		crowded:    make(chan struct{}, 1),
		gathered:   make(chan struct{}, 1),
	}
}

// push accepts an entry, or says why not: errFull or audit.ErrClosed.
func (q *queue) push(e *entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return audit.ErrClosed
	case q.heldRecords >= q.maxRecords, q.heldBytes+e.size > q.maxBytes:
		return errFull
	}
	q.lastTicket++
	e.ticket, e.accepted = q.lastTicket, time.Now()
	q.ledger.accept(e.rec.EnvelopeClass, queued)
	q.waiting.pushBack(e)
	q.waitingBytes += e.size
	q.heldRecords++
	q.heldBytes += e.size
	signal(q.ready)
	if q.isCrowded() {
		signal(q.crowded)
	}
	if q.expected > 0 && q.waiting.len() >= q.expected {
		q.expected = 0
		signal(q.gathered)
	}
	return nil
}

// isCrowded: half of the room is taken by records that nobody has in hand. The
// other half is for what comes while the dead-letter file is written.
func (q *queue) isCrowded() bool {
	return q.waiting.len() > q.maxRecords/2 || q.waitingBytes > q.maxBytes/2 || (q.urgent && q.waiting.len() > 0)
}

// gather reports whether so many wait; if not, gathered gets a token when they do.
func (q *queue) gather(expected int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.len() >= expected {
		return true
	}
	q.expected = expected
	select { // a token of an earlier time, when the timer came first
	case <-q.gathered:
	default:
	}
	return false
}

// setUrgent makes whatever waits a crowd, or no longer.
func (q *queue) setUrgent(urgent bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.urgent = urgent
	if q.isCrowded() {
		signal(q.crowded)
	}
}

// take gives up to maxRecords of the oldest entries into an empty hand, fewer if
// they are larger than maxBytes, but one at least where there is one.
func (q *queue) take(by hand, maxRecords int, maxBytes int64) []*entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(maxRecords, q.waiting.len())
	taken := make([]*entry, 0, n)
	var bytes int64
	for range n {
		e := q.waiting.front()
		if bytes += e.size; bytes > maxBytes && len(taken) > 0 {
			break
		}
		q.waiting.popFront()
		q.waitingBytes -= e.size
		taken = append(taken, e)
	}
	q.inHand[by] = taken
	return taken
}

// settle lets go of what a hand has taken, except the rest, which goes back to
// its place.
func (q *queue) settle(by hand, rest []*entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.inHand[by] {
		q.heldRecords--
		q.heldBytes -= e.size
	}
	for _, e := range rest {
		q.waitingBytes += e.size
		q.heldRecords++
		q.heldBytes += e.size
	}
	q.waiting.putBack(rest)
	q.inHand[by] = nil
	q.wakeWaiting()
	if q.waiting.len() > 0 {
		signal(q.ready)
	}
	if q.isCrowded() {
		signal(q.crowded)
	}
}

func (q *queue) wakeWaiting() {
	if q.settled != nil {
		close(q.settled)
		q.settled = nil
	}
}

// nextSettling returns a channel that is closed when entries are settled next, and
// when the queue is closed.
func (q *queue) nextSettling() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.settled == nil {
		q.settled = make(chan struct{})
	}
	return q.settled
}

// oldest returns the ticket of the oldest entry that is not settled, and when it
// was accepted; ok is false if there is none.
func (q *queue) oldest() (ticket int64, accepted time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	consider := func(e *entry) {
		if !ok || e.ticket < ticket {
			ticket, accepted, ok = e.ticket, e.accepted, true
		}
	}
	for _, taken := range q.inHand {
		if len(taken) > 0 {
			consider(taken[0])
		}
	}
	if q.waiting.len() > 0 {
		consider(q.waiting.front())
	}
	return ticket, accepted, ok
}

// oldestWaiting returns the ticket of the oldest entry that nobody has in hand.
func (q *queue) oldestWaiting() (ticket int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.len() == 0 {
		return 0, false
	}
	return q.waiting.front().ticket, true
}

// newest returns the ticket that was given last.
func (q *queue) newest() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lastTicket
}

// waits returns how many entries nobody has in hand, and whether they are a crowd.
func (q *queue) waits() (records int, crowded bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.len(), q.isCrowded()
}

func (q *queue) bytes() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.heldBytes
}

// close refuses what comes from now on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wakeWaiting()
}

// signal leaves a token where none is.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
