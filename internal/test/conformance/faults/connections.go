package faults

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// dialled keeps the sockets of a pool so that a test can close them.
type dialled struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (d *dialled) into(config *pgxpool.Config) {
	config.MaxConns = 1
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.conns = append(d.conns, conn)
		}
		return conn, err
	}
}

func (d *dialled) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.conns {
		_ = conn.Close()
	}
}

func lossBeforeSendIsRetried(t *testing.T, db frame.Database) {
	var sockets dialled
	pool := fixture.OpenPool(t, db.URL, sockets.into)
	retrying := coordaudit.New(pool, fixture.Quiet())
	once := fixture.Quiet()
	once.Retries = -1
	never := coordaudit.New(pool, once)
	for i := range frame.OwnCalls(retrying) {
		fixture.MustPersist(t, retrying, fixture.NewRecord())
		sockets.closeAll()
		frame.OwnCalls(retrying)[i].WantOutcome(t, fixture.NewRecord(), audit.Persisted)
		sockets.closeAll()
		_ = frame.OwnCalls(never)[i].WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrUnavailable)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

// terminateWaiting names the database, because databases of one template share their tables' oids.
const terminateWaiting = `SELECT count(pg_terminate_backend(pid)) FROM pg_locks
	WHERE NOT granted AND relation = 'coordination_audit_records'::regclass
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

func endedSessionIsRetried(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = 30 * time.Second // how fast the server is, is not tested here
	retrying := fixture.OpenStore(t, db.URL, config)
	config.Retries = -1
	never := fixture.OpenStore(t, db.URL, config)
	for i := range frame.OwnCalls(retrying) {
		for _, store := range []*coordaudit.Store{retrying, never} {
			release := frame.LockTable(t, db)
			var ended sync.WaitGroup
			ended.Go(func() {
				c, rec := frame.OwnCalls(store)[i], fixture.NewRecord()
				if store == retrying {
					c.WantOutcome(t, rec, audit.Persisted)
					return
				}
				result, err := c.Persist(t.Context(), rec)
				failed, ok := errors.AsType[*audit.PersistError](err)
				if !ok || !errors.Is(err, audit.ErrOutcomeUnknown) || failed.SQLState != "57P01" || result != (audit.Result{AuditID: rec.AuditID}) {
					t.Errorf("%s() = %+v, %v; want ErrOutcomeUnknown for 57P01", c.Name, result, err)
				}
			})
			frame.WaitForWaiter(t, db)
			if n := fixture.QueryInt(t, db.Pool, terminateWaiting); n != 1 {
				t.Errorf("%d sessions were ended, want 1", n)
			}
			release()
			ended.Wait()
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want the 2 that were retried", n)
	}
}

// loss is one way to lose a caller's connection.
type loss struct {
	cut      func(t *testing.T, db frame.Database, proxy *faultproxy.Proxy, sockets *dialled)
	reason   string // of the record whose call loses the connection
	sqlState string // if the server's answer surely arrives
}

const endsItsSession = "ends its session"

func losses() map[string]loss {
	at := func(cut func(*faultproxy.Proxy)) loss {
		return loss{cut: func(_ *testing.T, _ frame.Database, proxy *faultproxy.Proxy, _ *dialled) { cut(proxy) }}
	}
	return map[string]loss{
		"before the statement is sent": {cut: func(_ *testing.T, _ frame.Database, _ *faultproxy.Proxy, sockets *dialled) { sockets.closeAll() }},
		"before it arrives":            at(func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Execute) }),
		"with its completion":          at(func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }),
		"with its answer":              at(func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.ReadyForQuery) }),
		"session ended before it": {cut: func(t *testing.T, db frame.Database, _ *faultproxy.Proxy, _ *dialled) {
			t.Helper()
			fixture.MustExec(t, db.Pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'")
		}},
		"session ended under it": {
			cut:      func(*testing.T, frame.Database, *faultproxy.Proxy, *dialled) {},
			reason:   endsItsSession,
			sqlState: "57P01",
		},
	}
}

func transactionIsLost(t *testing.T, db frame.Database) {
	for name, loss := range losses() {
		for i, call := range []string{"PersistTx", "PersistManyTx"} {
			t.Run(name+"/"+call, func(t *testing.T) {
				t.Parallel()
				loseTransaction(t, db.Another(t), loss, i)
			})
		}
	}
}

func loseTransaction(t *testing.T, db frame.Database, loss loss, call int) {
	t.Helper()
	fixture.MustExec(t, db.Pool, `CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NEW; END $$`)
	fixture.MustExec(t, db.Pool, `CREATE TRIGGER end_session BEFORE INSERT ON coordination_audit_records
		FOR EACH ROW WHEN (NEW.reason = '`+endsItsSession+`') EXECUTE FUNCTION end_session()`)
	proxy := faultproxy.New(t, db.URL)
	var sockets dialled
	pool := fixture.OpenPool(t, proxy.URL(), sockets.into)
	store := coordaudit.New(pool, fixture.Quiet())

	tx := frame.CallersTx(t, pool)
	c := frame.TxCalls(store, tx)[call]
	c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
	loss.cut(t, db, proxy, &sockets)
	rec := fixture.NewRecord()
	if loss.reason != "" {
		rec.Reason = loss.reason
	}
	failed := c.WantFailure(t.Context(), t, rec, audit.ErrTxLost)
	if failed.Attempts != 1 || (loss.sqlState != "" && failed.SQLState != loss.sqlState) {
		t.Errorf("SQLSTATE %q after %d attempts, want %q after 1", failed.SQLState, failed.Attempts, loss.sqlState)
	}
	_ = c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrTxUnusable)

	// The server notices a lost client when it next reads from it.
	fixture.Eventually(t, func() bool {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'") == 0
	})
	if n := fixture.CountRecords(t, db.Pool) + fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 0 {
		t.Errorf("%d rows of a lost transaction are stored", n)
	}
}
