package soak_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const producers = 9

// prepareSoak starts a server with durable commits, a proxy in front of it, and the first
// life.
func prepareSoak(t *testing.T, seed uint64) *chaos {
	t.Helper()
	server := testdb.Durable(t)
	db := testdb.NewOn(t, server)
	for _, sql := range []string{
		"CREATE ROLE " + recorderRole + " LOGIN",
		"GRANT SELECT, INSERT ON coordination_audit_records, coordination_audit_gaps, coordination_audit_statements TO " + recorderRole,
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	proxy := faultproxy.New(t, db.URL)
	c := &chaos{t: t, server: server, url: db.URL, pool: db.Pool, proxy: proxy, seen: map[string]int{}, log: newEventLog()}
	c.lives = &lives{
		t: t, url: asUser(t, proxy.URL(), recorderRole), dir: t.TempDir(), journal: newJournal(),
		log: slog.New(c.log), rng: rand.New(rand.NewPCG(seed, 0)),
	}
	c.lives.begin(c.lives.settings())
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// unleash starts the producers, the faults and the succession of lives. When stop returns, all
// of them have ended, and every fault is over.
func (c *chaos) unleash(seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	stream := uint64(1)
	rng := func() *rand.Rand {
		stream++
		return rand.New(rand.NewPCG(seed, stream))
	}
	running.Go(func() { c.lives.succeed(ctx) })
	for _, lane := range c.lanes() {
		rng := rng()
		running.Go(func() { c.run(ctx, rng, lane) })
	}
	for i := range producers {
		p := &producer{lives: c.lives, way: loadgen.Way(i % int(loadgen.Ways)), rng: rng()}
		running.Go(func() { p.run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// finish gives the records that are left to a last life with enough room and time.
func (c *chaos) finish() {
	l := c.lives
	l.end(10*time.Second, false)
	l.begin(coordaudit.Config{}, coordaudit.RecorderConfig{})
	last := l.now()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		l.sample()
		stats := last.recorder.Stats()
		total := stats.Total()
		if total.Spooled == 0 && total.Queued == 0 {
			break
		}
		if time.Now().After(deadline) {
			c.t.Errorf("the spool of the last life has not become empty: %+v", stats)
			break
		}
	}
	l.end(10*time.Second, false)
}

// eventLog counts what the recorders log.
type eventLog struct {
	mu   sync.Mutex
	seen map[string]int
	text map[string]string // of the events that must not occur
}

func newEventLog() *eventLog {
	return &eventLog{seen: map[string]int{}, text: map[string]string{}}
}

func (e *eventLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (e *eventLog) WithAttrs([]slog.Attr) slog.Handler               { return e }
func (e *eventLog) WithGroup(string) slog.Handler                    { return e }

func (e *eventLog) Handle(_ context.Context, event slog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[event.Message]++
	switch event.Message {
	case "audit_observer_panicked", "audit_spool_unreadable", "audit_spool_torn":
		event.Attrs(func(a slog.Attr) bool {
			e.text[event.Message] += a.String() + " "
			return len(e.text[event.Message]) < 2000
		})
	}
	return nil
}

// verify fails if an event was logged that none of these faults can cause.
func (e *eventLog) verify(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	t.Logf("logged: %v", e.seen)
	for event, text := range e.text {
		t.Errorf("%s was logged %d times: %s", event, e.seen[event], text)
	}
}
