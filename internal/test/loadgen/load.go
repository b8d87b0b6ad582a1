// Package loadgen puts a recorder under load in tests. Producers submit records and note the
// answer for each. At the end the answers are checked against the database, the spool and the
// recorder's counts.
package loadgen

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Config sets the number of producers and their rate.
type Config struct {
	// Producers is how many goroutines submit records. Every second one waits for the
	// commit (Record), the others do not (Enqueue).
	Producers int

	// Every is a producer's mean pause between two records.
	Every time.Duration
}

// Load is running producers and the answers that they got.
type Load struct {
	tb       testing.TB
	recorder *coordaudit.Recorder
	config   Config
	stop     context.CancelFunc
	running  sync.WaitGroup
	offered  atomic.Int64

	mu      sync.Mutex
	answers map[uuid.UUID]Answer
}

// Start starts the producers. They stop with the test at the latest.
func Start(tb testing.TB, recorder *coordaudit.Recorder, config Config) *Load {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{tb: tb, recorder: recorder, config: config, stop: stop, answers: map[uuid.UUID]Answer{}}
	for i := range config.Producers {
		l.running.Go(func() { l.produce(ctx, []Way{ByRecord, ByEnqueue}[i%2]) })
	}
	tb.Cleanup(l.Stop)
	return l
}

// Stop ends the producers and waits for them.
func (l *Load) Stop() {
	l.stop()
	l.running.Wait()
}

// Offered is the number of records that were submitted so far.
func (l *Load) Offered() int64 { return l.offered.Load() }

// Answers counts the answers so far.
func (l *Load) Answers() map[Answer]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[Answer]int64{}
	for _, answer := range l.answers {
		counts[answer]++
	}
	return counts
}

func (l *Load) produce(ctx context.Context, way Way) {
	for {
		pause := time.NewTimer(rand.N(2*l.config.Every + 1)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		l.submit(context.WithoutCancel(ctx), NewRecord(), way)
	}
}

func (l *Load) submit(ctx context.Context, rec audit.Record, way Way) {
	l.offered.Add(1)
	answer, err := Submit(ctx, l.recorder, way, rec)
	if err != nil {
		l.tb.Errorf("submitting a record: %v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[rec.AuditID] = answer
}
