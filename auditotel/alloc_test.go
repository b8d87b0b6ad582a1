package auditotel_test

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The test is not parallel: what it counts is the whole process's.
func TestAnObservationWithoutASpanAllocatesNothing(t *testing.T) { //nolint:paralleltest // see above
	test := metricsOnly(t)
	ctx := t.Context()
	observation := audit.Observation{EnvelopeClass: audit.Safety, Outcome: audit.Persisted, Attempts: 1, Duration: time.Millisecond}
	if n := testing.AllocsPerRun(1000, func() { test.observer.ObservePersist(ctx, observation) }); n > 0 {
		t.Errorf("an observation allocates %v times", n)
	}
}
