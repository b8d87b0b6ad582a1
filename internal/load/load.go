// Package load puts a recorder under load in tests: producers hand in records and
// note what they were told of each, and at the end all of it is held against what
// is in the database, in the dead-letter directory and in the recorder's counts.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Told is what a producer was told of its record.
type Told int

// What can be told.
const (
	Stored   Told = iota // Record returned nil
	Accepted             // Enqueue returned nil, or Record that the record is pending
	Dropped              // there was no room
	Refused              // the record will not be stored: its own fault, or the recorder is closed
)

// Config says who hands in how much.
type Config struct {
	// Producers is how many goroutines hand in records. Every second one waits for
	// the commit (Record), the others do not (Enqueue).
	Producers int

	// Every is a producer's mean pause between two records.
	Every time.Duration
}

// Load is running producers and their notes.
type Load struct {
	recorder *coordaudit.Recorder
	config   Config
	stop     context.CancelFunc
	running  sync.WaitGroup
	offered  atomic.Int64

	mu   sync.Mutex
	told map[uuid.UUID]Told
}

// Start starts the producers. They stop with the test at the latest.
func Start(tb testing.TB, recorder *coordaudit.Recorder, config Config) *Load {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{recorder: recorder, config: config, stop: stop, told: map[uuid.UUID]Told{}}
	for i := range config.Producers {
		l.running.Go(func() { l.produce(ctx, i%2 == 0) })
	}
	tb.Cleanup(l.Stop)
	return l
}

// Stop ends the producers and waits for them.
func (l *Load) Stop() {
	l.stop()
	l.running.Wait()
}

// Offered is how many records were handed in so far.
func (l *Load) Offered() int64 { return l.offered.Load() }

// Tellings counts what was told.
func (l *Load) Tellings() map[Told]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[Told]int64{}
	for _, told := range l.told {
		counts[told]++
	}
	return counts
}

func (l *Load) produce(ctx context.Context, waits bool) {
	for {
		pause := time.NewTimer(rand.N(2*l.config.Every + 1)) //nolint:gosec // no secret
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		l.handIn(context.WithoutCancel(ctx), NewRecord(), waits)
	}
}

// handIn notes what the record was told.
func (l *Load) handIn(ctx context.Context, rec audit.Record, waits bool) {
	l.offered.Add(1)
	var err error
	told := Accepted
	if waits {
		told = Stored
		_, err = l.recorder.Record(ctx, rec)
	} else {
		err = l.recorder.Enqueue(rec) //nolint:contextcheck // it has none: it does not wait
	}
	switch {
	case err == nil:
	case errors.Is(err, audit.ErrPending):
		told = Accepted
	case errors.Is(err, audit.ErrDropped):
		told = Dropped
	default:
		told = Refused
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[rec.AuditID] = told
}

// NewRecord makes a record of a random class.
func NewRecord() audit.Record {
	id, classes := uuid.New(), audit.EnvelopeClasses()
	return audit.Record{
		AuditID:              id,
		EnvelopeID:           fmt.Sprintf("envelope-%d", id[0]%100),
		EnvelopeClass:        classes[int(id[1])%len(classes)],
		Decision:             audit.Applied,
		Reason:               "applied, nothing stood in its way",
		DecisionTimestamp:    time.Now(),
		ActiveEnvelopesCount: 1,
		TenantID:             "acme",
	}
}
