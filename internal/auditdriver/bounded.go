package auditdriver

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Together they stay below the 250 ms that a call may take beyond its bound.
// The first two together stay below the 250 ms that a call may take beyond its bound.
const (
	// cancelGrace is how long the server has to answer a cancel request before its
	// connection is given up.
	cancelGrace = 200 * time.Millisecond

	// settleDelay is how long a cancel request that found nothing to cancel may
	// still be on its way. The server signals its session before it ends the
	// request's connection, which was waited for; a pooler may not.
	settleDelay = 40 * time.Millisecond

	// cancelLinger is how long the connection of a cancel request is left to whoever
	// answers it. The call does not wait that long. To hang up on PgBouncer while it
	// passes the request on can end the whole pooler (1.18: "bad client state").
	cancelLinger = 5 * time.Second
)

// bounded runs work, which talks on conn, until ctx ends and cancelGrace longer
// at most.
//
// pgx by itself closes the connection when a context ends. That would leave an
// own commit in doubt and take a caller's transaction with it. So work gets a
// context that never ends, and when ctx does, the server is asked to cancel the
// statement: its answer says that nothing was stored, and the connection lives
// on. The connection is closed only if that answer does not come.
//
// stray reports that a cancel request was sent and did not hit work's statement.
func (d *Driver) bounded(ctx context.Context, conn *pgconn.PgConn, work func(context.Context) error) (stray bool, err error) {
	cancel := cancelling{conn: conn, sent: make(chan struct{}), graceEnded: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { cancel.run(&d.cancels) }) //nolint:contextcheck // ctx has ended by then
	err = work(context.WithoutCancel(ctx))
	if stop() {
		return false, err
	}
	if gaveUp := cancel.settle(); gaveUp {
		// Its socket is closed already; pgx is to know that the connection is gone.
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

// run begins the cancelling. The request is one of the driver's, which waits for
// them when it is closed.
func (c *cancelling) run(requests *sync.WaitGroup) {
	// First the request, so that whoever has waited for either has waited for its start.
	requests.Go(func() {
		defer close(c.sent)
		ctx, cancel := context.WithTimeout(context.Background(), cancelLinger)
		defer cancel()
		// Whether the request arrived shows in the statement's own answer, or in its silence.
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

// giveUp closes the connection under a statement that has no answer yet. How long
// the cancel request's own connection takes to end is no reason to.
func (c *cancelling) giveUp() {
	defer close(c.graceEnded)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.closed = true
		_ = c.conn.Conn().Close()
	}
}

// settle keeps giveUp from what comes after the statement, and reports whether it
// came first.
func (c *cancelling) settle() (gaveUp bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.closed
}
