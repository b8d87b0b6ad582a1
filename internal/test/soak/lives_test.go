package soak_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

// life is one recorder on the directory, between its start and its close.
type life struct {
	number    int
	store     *coordaudit.Store
	recorder  *coordaudit.Recorder
	pool      *pgxpool.Pool
	over      chan struct{} // closed when the pool must be returned
	ending    sync.Once
	inherited audit.RecorderCounts
	before    map[audit.EnvelopeClass]audit.RecorderCounts // of the previous sample

	begun, accepted, refused atomic.Int64 // calls that began, and their answers
}

// lives are the recorders that follow each other on one directory.
//
// The counts of one life add up. Records that are left in the spool count as spooled in the
// life that leaves them, and as accepted in the next one. A segment is removed as a whole, so
// a close may also leave records in it that have already ended. These are given again, and
// end once more. Over all lives, the records that were submitted and not refused, and those
// that were given again, add up:
//
//	submitted + given again = persisted + already persisted + skipped + queued + spooled + rejected + dropped
//
// Here queued and spooled are those of the last life alone.
type lives struct {
	t       *testing.T
	url     string // the database, through the proxy
	dir     string
	journal *journal
	log     *slog.Logger
	rng     *rand.Rand

	mu         sync.Mutex
	all        []*life
	leftBehind int64 // spooled, by the lives before the last
	givenAgain int64
}

func (l *lives) now() *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[len(l.all)-1]
}

// settings are the bounds of one life. Some are reached, and some are not.
func (l *lives) settings() (coordaudit.Config, coordaudit.RecorderConfig) {
	one := func(of ...time.Duration) time.Duration { return of[l.rng.IntN(len(of))] }
	config := coordaudit.Config{Timeout: one(200*time.Millisecond, 500*time.Millisecond, 2*time.Second)}
	return config, coordaudit.RecorderConfig{
		MaxQueuedRecords: []int{200, 2000, 0}[l.rng.IntN(3)],
		MaxBatch:         []int{7, 100, 0}[l.rng.IntN(3)],
		WaitTimeout:      500 * time.Millisecond,
		RetryBudget:      one(time.Millisecond, 200*time.Millisecond, time.Second),
		MaxRetryDelay:    one(100*time.Millisecond, time.Second),
		SegmentBytes:     []int64{20_000, 1_000_000, 0}[l.rng.IntN(3)],
		MaxSpoolBytes:    []int64{100_000, 1_000_000, 0}[l.rng.IntN(3)], // soon full, full at times, never full
	}
}

// begin starts the next life. The previous one is closed.
func (l *lives) begin(config coordaudit.Config, bounds coordaudit.RecorderConfig) {
	next := &life{number: len(l.all) + 1, over: make(chan struct{})}
	config.Logger, config.Observer = l.log, observer{l.journal, next.number}
	bounds.SpoolDir = l.dir
	poolConfig, err := pgxpool.ParseConfig(l.url)
	if err == nil {
		poolConfig.MaxConns = 4
		next.pool, err = pgxpool.NewWithConfig(context.Background(), poolConfig)
	}
	if err != nil {
		l.t.Errorf("opening the pool of life %d: %v", next.number, err)
		return
	}
	kept := int64(len(loadgen.SpooledIDs(l.t, l.dir)))
	next.store = coordaudit.New(next.pool, config)
	if next.recorder, err = next.store.NewRecorder(bounds); err != nil {
		l.t.Errorf("starting life %d: %v", next.number, err)
		return
	}
	next.inherited.Accepted = next.recorder.Stats().Total().Accepted
	if next.inherited.Accepted != kept {
		l.t.Errorf("life %d inherits %d of %d spooled records", next.number, next.inherited.Accepted, kept)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if next.number > 1 {
		left := l.all[len(l.all)-1].recorder.Stats().Total().Spooled
		l.leftBehind += left
		l.givenAgain += next.inherited.Accepted - left
	}
	l.all = append(l.all, next)
}

// end closes the life, and compares its last counts with its spool.
func (l *lives) end(patience time.Duration, storeFirst bool) {
	last := l.now()
	if storeFirst {
		last.store.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := last.recorder.Close(ctx)
	total := last.recorder.Stats().Total()
	if err != nil && (!errors.Is(err, audit.ErrDropped) || total.Dropped == 0) {
		l.t.Errorf("closing life %d: %v", last.number, err)
	}
	last.ending.Do(func() { close(last.over) }) // if the next one fails to start, this one ends twice
	last.pool.Close()
	if total.Queued != 0 {
		l.t.Errorf("life %d is closed, and still %d records are queued", last.number, total.Queued)
	}
	kept := loadgen.SpooledIDs(l.t, l.dir)
	for id, lines := range kept {
		if lines > 1 {
			l.t.Errorf("life %d left record %s in %d lines", last.number, id, lines)
		}
	}
	if ended := l.journal.endedIn(last.number, kept); int64(len(kept)) != total.Spooled+ended {
		l.t.Errorf("life %d left %d records: %d counted as spooled and %d that have ended", last.number, len(kept), total.Spooled, ended)
	}
}

// succeed ends each life and begins the next one, until ctx ends.
func (l *lives) succeed(ctx context.Context) {
	for pause(ctx, 2*time.Second+time.Duration(l.rng.Int64N(int64(18*time.Second)))) {
		patience := []time.Duration{0, 100 * time.Millisecond, 2 * time.Second, 10 * time.Second}[l.rng.IntN(4)]
		l.end(patience, l.rng.IntN(5) == 0)
		l.begin(l.settings())
	}
}

// pause waits, and reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// asUser returns the URL of a database for another user.
func asUser(t *testing.T, databaseURL, user string) string {
	t.Helper()
	address, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.User(user)
	return address.String()
}
