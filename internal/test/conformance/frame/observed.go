package frame

import (
	"context"
	"slices"
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Observed is an observer that keeps what it gets.
type Observed struct {
	mu           sync.Mutex
	observations []audit.Observation
}

// ObservePersist implements audit.Observer.
func (o *Observed) ObservePersist(_ context.Context, observation audit.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.observations = append(o.observations, observation)
}

// Observations returns what was observed so far.
func (o *Observed) Observations() []audit.Observation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.observations)
}
