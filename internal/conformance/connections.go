package conformance

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
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
)

func connections() []promise {
	return []promise{
		{"AConnectionLostBeforeTheStatementIsRetried", aConnectionLostBeforeTheStatementIsRetried},
		{"ASessionThatTheServerEndsIsRetriedElseInDoubt", aSessionThatTheServerEndsIsRetriedElseInDoubt},
		{"ATransactionIsLostWithItsConnection", aTransactionIsLostWithItsConnection},
	}
}

// dialled keeps the sockets of a pool, to close them under it.
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

func aConnectionLostBeforeTheStatementIsRetried(t *testing.T, db Database) {
	var sockets dialled
	pool := openPool(t, db.URL, sockets.into)
	retrying := coordaudit.New(pool, quiet())
	once := quiet()
	once.Retries = -1
	never := coordaudit.New(pool, once)
	for i := range ownCalls(retrying) {
		mustPersist(t, retrying, newRecord())
		sockets.closeAll()
		ownCalls(retrying)[i].wantOutcome(t, newRecord(), audit.Persisted)
		sockets.closeAll()
		_ = ownCalls(never)[i].wantFailure(t.Context(), t, newRecord(), audit.ErrUnavailable)
	}
	if n := countRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

const terminateWaiting = `SELECT count(pg_terminate_backend(pid)) FROM pg_locks
	WHERE NOT granted AND relation = 'coordination_audit_records'::regclass`

func aSessionThatTheServerEndsIsRetriedElseInDoubt(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = 30 * time.Second // the server's haste is not what is tested
	retrying := openStore(t, db.URL, config)
	config.Retries = -1
	never := openStore(t, db.URL, config)
	for i := range ownCalls(retrying) {
		for _, store := range []*coordaudit.Store{retrying, never} {
			release := lockTable(t, db)
			var ended sync.WaitGroup
			ended.Go(func() {
				c, rec := ownCalls(store)[i], newRecord()
				if store == retrying {
					c.wantOutcome(t, rec, audit.Persisted)
					return
				}
				receipt, err := c.persist(t.Context(), rec)
				failed, ok := errors.AsType[*audit.PersistError](err)
				if !ok || !errors.Is(err, audit.ErrOutcomeUnknown) || failed.SQLState != "57P01" || receipt != (audit.Receipt{AuditID: rec.AuditID}) {
					t.Errorf("%s() = %+v, %v; want ErrOutcomeUnknown for 57P01", c.name, receipt, err)
				}
			})
			waitForWaiter(t, db)
			if n := queryInt(t, db.Pool, terminateWaiting); n != 1 {
				t.Errorf("%d sessions were ended, want 1", n)
			}
			release()
			ended.Wait()
		}
	}
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want the 2 that were retried", n)
	}
}

// loss is one way in which a caller's connection is lost.
type loss struct {
	cut      func(t *testing.T, db Database, proxy *faultproxy.Proxy, sockets *dialled)
	reason   string // of the record that meets the loss
	sqlState string // if the server is sure to be heard
}

const endsItsSession = "ends its session"

func losses() map[string]loss {
	at := func(cut func(*faultproxy.Proxy)) loss {
		return loss{cut: func(_ *testing.T, _ Database, proxy *faultproxy.Proxy, _ *dialled) { cut(proxy) }}
	}
	return map[string]loss{
		"before the statement is sent": {cut: func(_ *testing.T, _ Database, _ *faultproxy.Proxy, sockets *dialled) { sockets.closeAll() }},
		"before it arrives":            at(func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Execute) }),
		"with its completion":          at(func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }),
		"with its answer":              at(func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.ReadyForQuery) }),
		"session ended before it": {cut: func(t *testing.T, db Database, _ *faultproxy.Proxy, _ *dialled) {
			t.Helper()
			mustExec(t, db.Pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'")
		}},
		"session ended under it": {
			cut:      func(*testing.T, Database, *faultproxy.Proxy, *dialled) {},
			reason:   endsItsSession,
			sqlState: "57P01",
		},
	}
}

func aTransactionIsLostWithItsConnection(t *testing.T, db Database) {
	for name, loss := range losses() {
		for i, call := range []string{"PersistTx", "PersistManyTx"} {
			t.Run(name+"/"+call, func(t *testing.T) {
				t.Parallel()
				loseTransaction(t, db.another(t), loss, i)
			})
		}
	}
}

func loseTransaction(t *testing.T, db Database, loss loss, call int) {
	t.Helper()
	mustExec(t, db.Pool, `CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NEW; END $$`)
	mustExec(t, db.Pool, `CREATE TRIGGER end_session BEFORE INSERT ON coordination_audit_records
		FOR EACH ROW WHEN (NEW.reason = '`+endsItsSession+`') EXECUTE FUNCTION end_session()`)
	proxy := faultproxy.New(t, db.URL)
	var sockets dialled
	pool := openPool(t, proxy.URL(), sockets.into)
	store := coordaudit.New(pool, quiet())

	tx := callersTx(t, pool)
	c := txCalls(store, tx)[call]
	c.wantOutcome(t, newRecord(), audit.Persisted)
	loss.cut(t, db, proxy, &sockets)
	rec := newRecord()
	if loss.reason != "" {
		rec.Reason = loss.reason
	}
	failed := c.wantFailure(t.Context(), t, rec, audit.ErrTxLost)
	if failed.Attempts != 1 || (loss.sqlState != "" && failed.SQLState != loss.sqlState) {
		t.Errorf("SQLSTATE %q after %d attempts, want %q after 1", failed.SQLState, failed.Attempts, loss.sqlState)
	}
	_ = c.wantFailure(t.Context(), t, newRecord(), audit.ErrTxUnusable)

	// The server notices a lost client when it next listens to it.
	eventually(t, func() bool {
		return queryInt(t, db.Pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'") == 0
	})
	if n := countRecords(t, db.Pool) + queryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 0 {
		t.Errorf("%d rows of a lost transaction are stored", n)
	}
}
