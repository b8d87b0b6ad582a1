package coordaudit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/hooks"
)

// Store persists audit records and reads them. It is safe for concurrent use.
type Store struct {
	*core
	driver    *auditdriver.Driver // the core's, or one that reads at one moment
	replaying bool
}

// core is what a store and its replaying twin share.
type core struct {
	config     Config
	driver     *auditdriver.Driver
	ownPool    *pgxpool.Pool
	counts     counters
	calls      calls
	hooks      hooks.Guard
	copyMemory copyMemory
	deadlocked turn // of the calls that try again after a deadlock
}

// Open returns a store with a pool of its own. It takes a database URL
// (postgres://user@host/database) or a key=value string. It does not wait for the
// database, so a service may start while its database is away. ctx is only for opening
// the first connections. Close the store to close the pool.
//
// If the role, the database or the server sets synchronous_commit to off or local, and
// the URL does not set it, the store's own connections raise it to on.
func Open(ctx context.Context, databaseURL string, config Config) (*Store, error) {
	pool, err := auditdriver.OpenPool(ctx, databaseURL, config.Tracer)
	if err != nil {
		return nil, err
	}
	store := New(pool, config)
	store.ownPool = pool
	return store, nil
}

// New returns a store on the caller's pool, which the caller closes. Prepare the pool's
// configuration with [ConfigurePool]. The pool may be nil. Then only the calls that take
// a transaction work, and the others return [audit.ErrNoPool].
func New(pool *pgxpool.Pool, config Config) *Store {
	driver := auditdriver.NewInSchema(pool, config.Schema)
	store := &Store{driver: driver, core: &core{config: config.withDefaults(), driver: driver, deadlocked: make(turn, 1)}}
	driver.Watch(store.events())
	return store
}

// Replaying returns the same store for re-running decisions. Every persist call
// validates its records and writes nothing; the outcome is [audit.Skipped]. The two
// stores share their counts and their pool. Closing one closes both.
func (s *Store) Replaying() *Store {
	return &Store{core: s.core, driver: s.driver, replaying: true}
}

// Stats returns the outcomes of all records submitted so far.
func (s *Store) Stats() audit.Stats {
	return s.counts.stats()
}

// Close waits for the calls in progress, each of which ends within its timeout, and
// closes the pool if [Open] made it. A cancel request that a call has left behind gets
// up to 5 s for its answer. Later calls return [audit.ErrClosed]. A second Close does
// nothing.
func (s *Store) Close() {
	s.calls.close()
	s.driver.Close()
	if s.ownPool != nil {
		s.ownPool.Close()
	}
}

// NewTraceLogger returns a tracer for a pgx connection. It logs each statement at debug
// level as audit_statement, with its name, duration, rows and SQLSTATE. It logs neither
// arguments nor the statement's text. Set it as [Config.Tracer], or on the ConnConfig of
// your own pool.
func NewTraceLogger(log *slog.Logger) pgx.QueryTracer {
	return auditdriver.NewTraceLogger(hooks.NewLogger(log, &hooks.Guard{}))
}

// calls counts the calls in progress, so that Close can wait for them.
type calls struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (c *calls) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("the audit store is %w", audit.ErrClosed)
	}
	c.running.Add(1)
	return nil
}

// during does work unless the store is closed. The store can close even if a caller's
// tracer panics during work or ends its goroutine.
func (c *calls) during(work func() error) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.running.Done()
	return work()
}

func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}
