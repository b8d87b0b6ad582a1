package soak_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

// note is what is known about one record.
type note struct {
	class  audit.EnvelopeClass
	answer loadgen.Answer

	// How often the observers saw each end.
	persisted, already, rejected, dropped, closed uint8

	endedIn uint16 // the life of its last end
}

func (n *note) ends() int {
	return int(n.persisted) + int(n.already) + int(n.rejected) + int(n.dropped)
}

// journal keeps the answers to the producers and what the observers see, by record.
type journal struct {
	mu     sync.Mutex
	notes  map[uuid.UUID]*note
	faults map[string]int // what must not happen
}

func newJournal() *journal {
	return &journal{notes: map[uuid.UUID]*note{}, faults: map[string]int{}}
}

// begin notes a record before it is submitted.
func (j *journal) begin(rec *audit.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes[rec.AuditID] = &note{class: rec.EnvelopeClass}
}

// awaitReason waits until the observer has learned why Emit returned false. A call does not
// wait for its observer when the process gets no processor time for a moment.
func (j *journal) awaitReason(id uuid.UUID) {
	known := func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		n := j.notes[id]
		return n.closed > 0 || n.ends() > 0
	}
	for end := time.Now().Add(10 * time.Second); !known() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// end notes the answer. If Emit returned false because the recorder was closed, end returns
// Closed.
func (j *journal) end(id uuid.UUID, answer loadgen.Answer) loadgen.Answer {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.notes[id]
	if answer == loadgen.No && n.closed > 0 {
		answer = loadgen.Closed
	}
	n.answer = answer
	return answer
}

// observer notes in the journal how records end in one of the recorder's lives.
type observer struct {
	journal *journal
	life    int
}

func (o observer) ObservePersist(_ context.Context, seen audit.Observation) {
	j := o.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.notes[seen.AuditID]
	if n == nil {
		j.faults["an end of a record that was never submitted"]++
		return
	}
	if n.class != seen.EnvelopeClass {
		j.faults["an end with another class"]++
	}
	if errors.Is(seen.Err, audit.ErrClosed) && !errors.Is(seen.Err, audit.ErrDropped) {
		n.closed++
		return
	}
	n.endedIn = uint16(o.life)
	switch {
	case seen.Err == nil && seen.Outcome == audit.Persisted:
		n.persisted++
	case seen.Err == nil && seen.Outcome == audit.AlreadyPersisted:
		n.already++
	case errors.Is(seen.Err, audit.ErrDropped):
		n.dropped++
	case errors.Is(seen.Err, audit.ErrRefused):
		n.rejected++
	default:
		j.faults[fmt.Sprintf("an unknown end: %q, %v", seen.Outcome, seen.Err)]++
	}
}

// endedIn counts the records that have ended in one life.
func (j *journal) endedIn(life int, ids map[uuid.UUID]int) (ended int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range ids {
		switch n := j.notes[id]; {
		case n == nil:
			j.faults["a spooled record that was never submitted"]++
		case n.ends() > 0 && int(n.endedIn) == life:
			ended++
		}
	}
	return ended
}
