package coordaudit

import (
	"context"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// Store persists audit records and reads them. It is safe for concurrent use.
type Store struct {
	*core
	replaying bool
}

// core is what a store and its replaying twin share.
type core struct {
	config  Config
	driver  *auditdriver.Driver
	ownPool *pgxpool.Pool
	counts  counters
	calls   calls
	loading loading
}

// Open returns a store with a pool of its own on a database URL
// (postgres://user@host/database) or a key=value string. It does not wait for the
// database: a service may start while its database is away. ctx is for opening
// the first connections only. Close the store to close the pool.
func Open(ctx context.Context, databaseURL string, config Config) (*Store, error) {
	pool, err := auditdriver.OpenPool(ctx, databaseURL, config.Tracer)
	if err != nil {
		return nil, err
	}
	store := New(pool, config)
	store.ownPool = pool
	return store, nil
}

// New returns a store on the caller's pool, which stays the caller's to close.
// A nil pool is allowed: then only the calls that bring a transaction work, and
// the others return [audit.ErrNoPool].
func New(pool *pgxpool.Pool, config Config) *Store {
	return &Store{core: &core{
		config: config.withDefaults(),
		driver: auditdriver.New(pool),
	}}
}

// Replaying returns the same store for re-running decisions: every persist call
// validates its records and writes nothing, with outcome [audit.Skipped]. The two
// share their counts and their pool; closing one closes both.
func (s *Store) Replaying() *Store {
	return &Store{core: s.core, replaying: true}
}

// Stats returns what became of every record handed in so far.
func (s *Store) Stats() audit.Stats {
	return s.counts.stats()
}

// Close lets the calls under way end, each within its timeout, and closes the
// pool if [Open] made it. A cancel request that a call has left behind is given up
// to 5 s to be answered. Later calls return [audit.ErrClosed]. Closing twice is
// the same as closing once.
func (s *Store) Close() {
	s.calls.close()
	s.driver.Close()
	if s.ownPool != nil {
		s.ownPool.Close()
	}
}

// NewTraceLogger returns a tracer for a pgx connection that logs each statement
// at debug level as audit_statement, with its name, duration, rows and SQLSTATE:
// never its arguments, never its text. Set it as [Config.Tracer], or on your own
// pool's ConnConfig.
func NewTraceLogger(log *slog.Logger) pgx.QueryTracer {
	return auditdriver.NewTraceLogger(log)
}

// calls counts the calls under way, so that closing can wait for them.
type calls struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func (c *calls) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return audit.ErrClosed
	}
	c.running.Add(1)
	return nil
}

func (c *calls) end() { c.running.Done() }

func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}
