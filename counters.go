package coordaudit

import (
	"slices"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
)

// counters counts each record once, by class and outcome. Attempts is their sum and has
// no counter of its own, so the two cannot disagree.
type counters struct {
	byClass [5]classCounters
}

type classCounters struct {
	persisted, alreadyPersisted, skipped, failed atomic.Int64
}

func (c *counters) add(class audit.EnvelopeClass, outcome audit.Outcome) {
	// A record with an invalid class is refused, and counted under UNKNOWN.
	i := slices.Index(audit.EnvelopeClasses(), class)
	if i < 0 {
		i = len(c.byClass) - 1
	}
	of := &c.byClass[i]
	switch outcome {
	case audit.Persisted:
		of.persisted.Add(1)
	case audit.AlreadyPersisted:
		of.alreadyPersisted.Add(1)
	case audit.Skipped:
		of.skipped.Add(1)
	default:
		of.failed.Add(1)
	}
}

func (c *counters) stats() audit.Stats {
	stats := make(audit.Stats, len(c.byClass))
	for i, class := range audit.EnvelopeClasses() {
		of := &c.byClass[i]
		counts := audit.Counts{
			Persisted:        of.persisted.Load(),
			AlreadyPersisted: of.alreadyPersisted.Load(),
			Skipped:          of.skipped.Load(),
			Failed:           of.failed.Load(),
		}
		counts.Attempts = counts.Persisted + counts.AlreadyPersisted + counts.Skipped + counts.Failed
		stats[class] = counts
	}
	return stats
}
