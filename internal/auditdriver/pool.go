package auditdriver

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
)

// OpenPool opens a pool on a database URL or key=value string, as [PoolConfig] says. It does
// not wait for the database.
func OpenPool(ctx context.Context, databaseURL string, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	config, err := PoolConfig(databaseURL, tracer)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the connection pool: %w", err)
	}
	return pool, nil
}

// PoolConfig is that of a pool of our own. It bounds what the URL does not set and pgx leaves
// unbounded.
func PoolConfig(databaseURL string, tracer pgx.QueryTracer) (*pgxpool.Config, error) {
	config, err := dsn.Parse(databaseURL, pgxpool.ParseConfig)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if config.MaxConnLifetimeJitter == 0 {
		// Without jitter, connections that were opened together are closed together.
		config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	}
	if tracer != nil {
		config.ConnConfig.Tracer = tracer
	}
	configureSessions(config, true)
	return config, nil
}

// ConfigurePool sets on a pool's configuration what the promises rest on and what must be
// set before connecting. The configuration's own hooks still run, and run first.
func ConfigurePool(config *pgxpool.Config) { configureSessions(config, false) }

// configureSessions prepares each session of a pool. It raises synchronous_commit only in a
// pool of our own.
func configureSessions(config *pgxpool.Config, ours bool) {
	conn := config.ConnConfig
	params := sessionParams()
	maps.DeleteFunc(conn.RuntimeParams, func(name, _ string) bool { return params[strings.ToLower(name)] != "" })
	maps.Copy(conn.RuntimeParams, params)
	raise := ours && !sets(conn.RuntimeParams, "synchronous_commit")

	onNotice := conn.OnNotice
	conn.OnNotice = func(pg *pgconn.PgConn, notice *pgconn.Notice) {
		if onNotice != nil {
			onNotice(pg, notice)
		}
		if EndsStandbyWait(notice) {
			sessionOf(pg).unreplicated.Store(true)
		}
	}
	afterConnect := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if afterConnect != nil {
			if err := afterConnect(ctx, conn); err != nil {
				return err
			}
		}
		return setUp(ctx, conn, raise)
	}
}

// sets reports whether a connection's parameters set a name, directly or in options.
func sets(params map[string]string, name string) bool {
	_, named := params[name]
	return named || strings.Contains(params["options"], name)
}

// EndsStandbyWait reports the server's warning that a commit no longer waits for its standby:
// it is local, and might not be replicated. The message is localized, the routine is not.
// With 57P01 the warning comes before the session ends.
func EndsStandbyWait(notice *pgconn.Notice) bool {
	return notice.Routine == "SyncRepWaitForLSN" && (notice.Code == stateWarning || notice.Code == stateAdminShutdown)
}

// The first two together stay below the 250 ms that a call may take beyond its bound.
const (
	// cancelGrace is how long the server has to answer a cancel request before the
	// connection is closed.
	cancelGrace = 200 * time.Millisecond

	// cancelAgain is when a second request is sent if there is still no answer. The first one
	// finds nothing to cancel if it comes between two statements of the work.
	cancelAgain = cancelGrace / 2

	// missedCancelDelay is how long a cancel request that found nothing to cancel may still
	// be on its way. PostgreSQL signals its session before it ends the request's
	// connection, and the driver has waited for that end. A pooler may signal later.
	missedCancelDelay = 40 * time.Millisecond

	// cancelLinger is how long the connection of a cancel request stays open for the answer.
	// The call does not wait that long. Closing it while PgBouncer passes the request on can
	// end the whole pooler (1.18: "bad client state").
	cancelLinger = 5 * time.Second
)

// bounded runs work, which talks on conn, until ctx ends and for at most cancelGrace
// longer.
//
// pgx by itself closes the connection when a context ends. That would leave our own
// commit in doubt and end a caller's transaction. So work gets a context that never ends.
// When ctx ends, bounded asks the server to cancel the statement. The server's answer
// proves that nothing was stored, and the connection stays usable. The connection is
// closed only if that answer does not come.
//
// A success after the cancel request was sent proves nothing, since the request also ends
// a commit's wait for its standby. Code that relies on a commit calls
// [ownConn.acknowledged] directly after its statement.
//
// missed reports that a cancel request was sent that did not hit work's statement, or may not
// have.
func (d *Driver) bounded(ctx context.Context, conn *pgconn.PgConn, work func(context.Context) error) (missed bool, err error) {
	cancel := cancelling{
		conn: conn, sent: make(chan struct{}), graceEnded: make(chan struct{}), answered: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { cancel.run(&d.cancels) }) //nolint:contextcheck // ctx has ended by then
	err = work(context.WithoutCancel(ctx))
	if stop() {
		return false, err
	}
	gaveUp, repeated := cancel.finish()
	if gaveUp {
		// The socket is closed already. This makes pgx mark the connection as gone.
		_ = conn.Close(ctx)
	}
	cancel.wait()
	return repeated || sqlState(err) != stateQueryCanceled, err
}

// cancelling is the end of one bounded statement that took too long.
type cancelling struct {
	conn       *pgconn.PgConn
	sent       chan struct{} // closed when the connection of the last request has ended
	graceEnded chan struct{}
	answered   chan struct{} // closed when the statement has ended

	mu       sync.Mutex
	ended    bool // the statement
	closed   bool // the connection, by giveUp
	repeated bool // the request
}

// run begins the cancelling. The driver waits for the request when it is closed.
func (c *cancelling) run(requests *sync.WaitGroup) {
	// The request comes first: sent and graceEnded are closed only after it has started.
	requests.Go(func() {
		defer close(c.sent)
		again := time.NewTimer(cancelAgain)
		defer again.Stop()
		c.request()
		select {
		case <-c.answered:
		case <-again.C:
			if c.repeats() {
				c.request()
			}
		}
	})
	time.AfterFunc(cancelGrace, c.giveUp)
}

func (c *cancelling) request() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelLinger)
	defer cancel()
	// The statement's own answer, or its absence, shows whether the request arrived.
	_ = c.conn.CancelRequest(ctx)
}

// repeats reports that there is no answer yet, so that a second request is due.
func (c *cancelling) repeats() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.repeated = !c.ended
	return c.repeated
}

// wait waits until the last request's connection has ended, within the grace.
func (c *cancelling) wait() {
	select {
	case <-c.sent:
	case <-c.graceEnded:
	}
}

// giveUp closes the connection under a statement that has no answer yet. It does not
// matter whether the cancel request's own connection has ended.
func (c *cancelling) giveUp() {
	defer close(c.graceEnded)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.closed = true
		_ = c.conn.Conn().Close()
	}
}

// finish stops giveUp and a second request from touching what comes after the statement. It
// reports whether they came first.
func (c *cancelling) finish() (gaveUp, repeated bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	close(c.answered)
	return c.closed, c.repeated
}
