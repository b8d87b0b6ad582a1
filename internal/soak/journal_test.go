package soak_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// told is what a producer was told of its record.
type told uint8

const (
	nothingYet told = iota
	toldStored
	toldAccepted // or pending
	toldDropped
	toldRefused // by the database
	toldClosed  // the recorder took nothing more
	toldNo      // Emit, which does not say why
)

// note is what is known of one record.
type note struct {
	class audit.EnvelopeClass
	told  told

	// How often the observers were told of each end.
	persisted, already, rejected, dropped, closed uint8

	endedIn uint16 // the life of its last end
}

func (n *note) ends() int {
	return int(n.persisted) + int(n.already) + int(n.rejected) + int(n.dropped)
}

// journal takes down what producers and observers are told, by record.
type journal struct {
	mu     sync.Mutex
	notes  map[uuid.UUID]*note
	faults map[string]int // what must not happen
}

func newJournal() *journal {
	return &journal{notes: map[uuid.UUID]*note{}, faults: map[string]int{}}
}

// begin is called before a record is handed in.
func (j *journal) begin(rec *audit.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes[rec.AuditID] = &note{class: rec.EnvelopeClass}
}

// end is called with what the producer was told.
func (j *journal) end(id uuid.UUID, what told) told {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.notes[id]
	if what == toldNo && n.closed > 0 {
		what = toldClosed
	}
	n.told = what
	return what
}

// observer tells the journal of the records' ends in one of the recorder's lives.
type observer struct {
	*journal
	life int
}

func (o observer) ObservePersist(_ context.Context, seen audit.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.notes[seen.AuditID]
	if n == nil {
		o.faults["an end of a record that was never handed in"]++
		return
	}
	if n.class != seen.EnvelopeClass {
		o.faults["an end under another class"]++
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
		o.faults[fmt.Sprintf("an end that is none: %q, %v", seen.Outcome, seen.Err)]++
	}
}

// endedIn counts those of the records that have ended in one life.
func (j *journal) endedIn(life int, ids map[uuid.UUID]int) (ended int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range ids {
		switch n := j.notes[id]; {
		case n == nil:
			j.faults["a dead letter that was never handed in"]++
		case n.ends() > 0 && int(n.endedIn) == life:
			ended++
		}
	}
	return ended
}
