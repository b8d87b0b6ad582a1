package soak_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
)

// recorderRole is the role of the recorder's connections.
const recorderRole = "coordaudit_soak"

// chaos makes the database fail in the ways in which databases fail. Each fault ends by
// itself, and also when ctx ends.
type chaos struct {
	t      *testing.T
	server *pglocal.Server
	url    string        // the database, past the proxy, as its owner
	pool   *pgxpool.Pool // of the same
	proxy  *faultproxy.Proxy
	lives  *lives
	log    *eventLog

	mu   sync.Mutex
	seen map[string]int
}

// fault is one kind of failure. It lasts about as long as lasts.
type fault struct {
	name  string
	cause func(ctx context.Context, rng *rand.Rand, lasts time.Duration)
}

// lanes are groups of faults. The faults of one lane come one at a time. Faults of several
// lanes may come at the same time.
func (c *chaos) lanes() [][]fault {
	return [][]fault{
		{{"killed", c.killed}, {"shut down", c.shutDown}},
		{{"cut", c.cut}, {"silent", c.silent}, {"terminated", c.terminated}, {"pool exhausted", c.exhausted}},
		{{"locked", c.locked}, {"poison", c.poisoned}, {"right revoked", c.revoked}},
	}
}

// run causes faults of one lane, with pauses, until ctx ends.
func (c *chaos) run(ctx context.Context, rng *rand.Rand, lane []fault) {
	upTo := func(limit time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(limit))) }
	for pause(ctx, 500*time.Millisecond+upTo(7*time.Second)) {
		next := lane[rng.IntN(len(lane))]
		c.mu.Lock()
		c.seen[next.name]++
		c.mu.Unlock()
		next.cause(ctx, rng, 200*time.Millisecond+upTo(5*time.Second))
	}
}

func (c *chaos) summary() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.seen)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, c.seen[name]))
	}
	return strings.Join(parts, ", ")
}

func (c *chaos) killed(context.Context, *rand.Rand, time.Duration) {
	if err := c.server.Kill(); err != nil {
		c.t.Error(err)
	}
	c.restart()
}

func (c *chaos) shutDown(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	if err := c.server.ShutDown(); err != nil {
		c.t.Error(err)
	}
	pause(ctx, lasts)
	c.restart()
}

func (c *chaos) restart() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.server.Restart(ctx); err != nil {
		c.t.Error(err)
	}
}

func (c *chaos) cut(ctx context.Context, rng *rand.Rand, lasts time.Duration) {
	defer c.proxy.Resume()
	for end := time.Now().Add(lasts); time.Now().Before(end) && ctx.Err() == nil; {
		switch rng.IntN(4) {
		case 0:
			c.proxy.CutAtClient(faultproxy.Execute)
		case 1:
			c.proxy.CutAtClient(faultproxy.Sync)
		case 2:
			c.proxy.CutAtServer(faultproxy.CommandComplete)
		default:
			c.proxy.CutAtServer(faultproxy.ReadyForQuery)
		}
		pause(ctx, time.Duration(rng.Int64N(int64(200*time.Millisecond))))
	}
}

func (c *chaos) silent(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	defer c.proxy.Resume()
	c.proxy.Stall()
	pause(ctx, lasts)
}

func (c *chaos) terminated(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	for end := time.Now().Add(lasts); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 10*time.Millisecond) {
		_ = c.admin(ctx, nil, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+recorderRole+"'") // or the server is away
	}
}

func (c *chaos) exhausted(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	life := c.lives.now()
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	for range life.pool.Config().MaxConns {
		conn, err := life.pool.Acquire(ctx)
		if err != nil {
			break // the server or the life is away, or the recorder was faster
		}
		defer conn.Release()
	}
	select {
	case <-ctx.Done():
	case <-life.over:
	}
}

func (c *chaos) locked(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	hold := func() { pause(ctx, lasts) }
	_ = c.admin(ctx, hold, "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE") // or the server is away
}

func (c *chaos) poisoned(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	c.insist("ALTER TABLE coordination_audit_records ADD CONSTRAINT soak_says_no CHECK (envelope_id <> '" + poison + "') NOT VALID")
	pause(ctx, 2*lasts)
	c.insist("ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS soak_says_no")
}

func (c *chaos) revoked(ctx context.Context, _ *rand.Rand, lasts time.Duration) {
	c.insist("REVOKE INSERT ON coordination_audit_records FROM " + recorderRole)
	pause(ctx, lasts)
	c.insist("GRANT INSERT ON coordination_audit_records TO " + recorderRole)
}

// insist runs a statement, and tries again while the server is away.
func (c *chaos) insist(sql string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := c.admin(ctx, nil, sql)
		failure, failed := errors.AsType[*pgconn.PgError](err)
		if err == nil || failed && failure.Code == "42710" { // it exists: an earlier attempt was committed and its answer lost
			return
		}
		if !pause(ctx, 100*time.Millisecond) {
			c.t.Errorf("%s: %v", sql, err)
			return
		}
	}
}

// admin runs a statement in a transaction on a connection of its own, and keeps the
// transaction open until hold returns.
func (c *chaos) admin(ctx context.Context, hold func(), sql string) error {
	attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(attempt, c.url)
	if err != nil {
		return err
	}
	ending := context.WithoutCancel(ctx)
	defer func() { _ = conn.Close(ending) }()
	tx, err := conn.Begin(attempt)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(attempt, sql); err != nil {
		return errors.Join(err, tx.Rollback(ending))
	}
	if hold != nil {
		hold()
	}
	return tx.Commit(ending)
}
