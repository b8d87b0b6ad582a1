package recorder

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// errFull means that the queue has reached one of its bounds.
var errFull = errors.New("the queue is full")

// ErrClosed is [audit.ErrClosed] of a Recorder.
var ErrClosed = fmt.Errorf("the recorder is %w", audit.ErrClosed)

// queue holds accepted records in their order. What an owner has taken still counts against
// the bounds, because it still takes memory.
type queue struct {
	maxRecords int
	maxBytes   int64
	ledger     *ledger
	source     uuid.UUID // what the tickets are ordinals of

	// ready and crowded wake the flusher and the spiller. A token means that there may be
	// something to do.
	ready, crowded chan struct{}

	// short gets a token when the reserved ordinals run short.
	short chan struct{}

	// gathered gets a token when the number of entries that the flusher expects wait.
	gathered chan struct{}

	mu           sync.Mutex
	expected     int // 0: none in particular
	waiting      ring
	waitingBytes int64
	heldRecords  int
	heldBytes    int64
	taken        [owners][]*entry
	lastTicket   int64
	shortAt      int64 // the ticket from which short gets a token
	closed       bool
	urgent       bool          // the database is away, so nothing is to stay in memory
	finished     chan struct{} // closed by the next finish; nil if no one waits for it
}

func newQueue(maxRecords int, maxBytes int64, ledger *ledger, source uuid.UUID) *queue {
	return &queue{
		maxRecords: maxRecords,
		maxBytes:   maxBytes,
		ledger:     ledger,
		source:     source,
		ready:      make(chan struct{}, 1),
		crowded:    make(chan struct{}, 1),
		gathered:   make(chan struct{}, 1),
		short:      make(chan struct{}, 1),
	}
}

// push accepts an entry, or returns errFull or ErrClosed.
func (q *queue) push(e *entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.heldRecords >= q.maxRecords, q.heldBytes+e.size > q.maxBytes:
		return errFull
	}
	q.number(&e.rec)
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

// number gives a record the next ordinal. The caller holds mu.
func (q *queue) number(rec *audit.Record) {
	q.lastTicket++
	rec.Origin.SourceID, rec.Origin.SourceSeq = q.source, q.lastTicket
	if q.lastTicket >= q.shortAt {
		signal(q.short)
	}
}

// setShort sets the ordinal from which the reserved ones run short.
func (q *queue) setShort(from int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shortAt = from
}

// numberDropped gives an ordinal to a record that finds no room. So the account shows it.
func (q *queue) numberDropped(rec *audit.Record) (ordinal int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.number(rec)
	return q.lastTicket
}

// isCrowded reports whether records that wait take half of the room. The other half is for
// records that arrive while a file of the spool is written.
func (q *queue) isCrowded() bool {
	return q.waiting.len() > q.maxRecords/2 || q.waitingBytes > q.maxBytes/2 || (q.urgent && q.waiting.len() > 0)
}

// gather reports whether the expected number of entries wait. If not, gathered gets a token
// when they do.
func (q *queue) gather(expected int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.len() >= expected {
		return true
	}
	q.expected = expected
	select { // drop a token from an earlier time, when the timer came first
	case <-q.gathered:
	default:
	}
	return false
}

// setUrgent makes a single waiting entry count as a crowd, or no longer.
func (q *queue) setUrgent(urgent bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.urgent = urgent
	if q.isCrowded() {
		signal(q.crowded)
	}
}

// take gives up to maxRecords of the oldest entries to an owner that has none: fewer if they
// are larger than maxBytes together, but at least one if there is one.
func (q *queue) take(by owner, maxRecords int, maxBytes int64) []*entry {
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
	q.taken[by] = taken
	return taken
}

// finish removes what an owner has taken, except the rest, which returns to its place.
func (q *queue) finish(by owner, rest []*entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.taken[by] {
		q.heldRecords--
		q.heldBytes -= e.size
	}
	for _, e := range rest {
		q.waitingBytes += e.size
		q.heldRecords++
		q.heldBytes += e.size
	}
	q.waiting.putBack(rest)
	q.taken[by] = nil
	q.wakeWaiting()
	if q.waiting.len() > 0 {
		signal(q.ready)
	}
	if q.isCrowded() {
		signal(q.crowded)
	}
}

func (q *queue) wakeWaiting() {
	if q.finished != nil {
		close(q.finished)
		q.finished = nil
	}
}

// nextFinish returns a channel that is closed by the next finish, and when the queue is
// closed.
func (q *queue) nextFinish() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished == nil {
		q.finished = make(chan struct{})
	}
	return q.finished
}

// oldest returns the ticket of the oldest entry that is not finished, and the time when it
// was accepted. ok is false if there is none.
func (q *queue) oldest() (ticket int64, accepted time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	consider := func(e *entry) {
		if !ok || e.ticket < ticket {
			ticket, accepted, ok = e.ticket, e.accepted, true
		}
	}
	for _, taken := range q.taken {
		if len(taken) > 0 {
			consider(taken[0])
		}
	}
	if q.waiting.len() > 0 {
		consider(q.waiting.front())
	}
	return ticket, accepted, ok
}

// oldestWaiting returns the ticket of the oldest entry that no owner has taken.
func (q *queue) oldestWaiting() (ticket int64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.len() == 0 {
		return 0, false
	}
	return q.waiting.front().ticket, true
}

// newest returns the last ticket.
func (q *queue) newest() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lastTicket
}

// waits returns the number of entries that no owner has taken, and whether they are a crowd.
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

// close makes push refuse every entry from now on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wakeWaiting()
}
