package auditdriver

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// The first two together stay below the 250 ms that a call may take beyond its bound.
const (
	// cancelGrace is how long the server has to answer a cancel request before the
	// connection is closed.
	cancelGrace = 200 * time.Millisecond

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
// missed reports that a cancel request was sent and did not hit work's statement.
func (d *Driver) bounded(ctx context.Context, conn *pgconn.PgConn, work func(context.Context) error) (missed bool, err error) {
	cancel := cancelling{conn: conn, sent: make(chan struct{}), graceEnded: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { cancel.run(&d.cancels) }) //nolint:contextcheck // ctx has ended by then
	err = work(context.WithoutCancel(ctx))
	if stop() {
		return false, err
	}
	if gaveUp := cancel.finish(); gaveUp {
		// The socket is closed already. This makes pgx mark the connection as gone.
		_ = conn.Close(ctx)
	}
	cancel.wait()
	return sqlState(err) != stateQueryCanceled, err
}

// cancelling is the end of one bounded statement that took too long.
type cancelling struct {
	conn       *pgconn.PgConn
	sent       chan struct{} // closed when the request's connection has ended
	graceEnded chan struct{}

	mu     sync.Mutex
	ended  bool // the statement
	closed bool // the connection, by giveUp
}

// run begins the cancelling. The driver waits for the request when it is closed.
func (c *cancelling) run(requests *sync.WaitGroup) {
	// The request comes first: sent and graceEnded are closed only after it has started.
	requests.Go(func() {
		defer close(c.sent)
		ctx, cancel := context.WithTimeout(context.Background(), cancelLinger)
		defer cancel()
		// The statement's own answer, or its absence, shows whether the request arrived.
		_ = c.conn.CancelRequest(ctx)
	})
	time.AfterFunc(cancelGrace, c.giveUp)
}

// wait waits until the request's connection has ended, within the grace.
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

// finish stops giveUp from touching what comes after the statement. It reports whether
// giveUp came first.
func (c *cancelling) finish() (gaveUp bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.closed
}
