package auditdriver

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Together they stay below the 250 ms that a call may take beyond its bound.
const (
	// cancelGrace is how long the server has to answer a cancel request before its
	// connection is given up.
	cancelGrace = 200 * time.Millisecond

	// settleDelay is how long a cancel request that found nothing to cancel may
	// still be on its way. The server signals its session before it ends the
	// request's connection, which was waited for; a pooler may not.
	settleDelay = 40 * time.Millisecond
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
func bounded(ctx context.Context, conn *pgconn.PgConn, work func(context.Context) error) (stray bool, err error) {
	cancel := cancelling{conn: conn}
	cancel.running.Add(1)
	stop := context.AfterFunc(ctx, cancel.run)
	err = work(context.WithoutCancel(ctx))
	if stop() {
		return false, err
	}
	if gaveUp := cancel.settle(); gaveUp {
		// Its socket is closed already; pgx is to know that the connection is gone.
		_ = conn.Close(ctx)
	}
	cancel.running.Wait()
	return sqlState(err) != stateQueryCanceled, err
}

// cancelling is the end of one bounded statement that took too long.
type cancelling struct {
	conn    *pgconn.PgConn
	running sync.WaitGroup

	mu     sync.Mutex
	ended  bool // the statement
	closed bool // the connection, by giveUp
}

func (c *cancelling) run() {
	defer c.running.Done()
	time.AfterFunc(cancelGrace, c.giveUp)
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	// Whether the request arrived shows in the statement's own answer, or in its silence.
	_ = c.conn.CancelRequest(ctx)
}

// giveUp closes the connection under a statement that has no answer yet. How long
// the cancel request's own connection takes to end is no reason to.
func (c *cancelling) giveUp() {
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
