package recorder

import (
	"sync"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// trial brings the drainer's suspects to the flusher. The drainer may hold no record that
// the database accepts, and then it could never tell a bad record from a bad table. The
// flusher tries the suspects along with the records that it sends anyway.
type trial struct {
	mu       sync.Mutex
	waiting  []audit.Record
	verdicts map[uuid.UUID]verdict
}

func newTrial() *trial { return &trial{verdicts: map[uuid.UUID]verdict{}} }

// offer replaces what waits.
func (t *trial) offer(suspects []audit.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = suspects
}

func (t *trial) take() []audit.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.waiting
	t.waiting = nil
	return taken
}

// decide keeps the verdicts that are not open until the drainer asks for them.
func (t *trial) decide(suspects []audit.Record, verdicts []verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range suspects {
		if v := verdicts[i]; !v.open() {
			t.verdicts[suspects[i].AuditID] = v
		}
	}
}

// decided returns each verdict once. It returns nil if there are none.
func (t *trial) decided() map[uuid.UUID]verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.verdicts) == 0 {
		return nil
	}
	verdicts := t.verdicts
	t.verdicts = map[uuid.UUID]verdict{}
	return verdicts
}
