package coordaudit_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A pooler may close a cancel request's connection before it forwards the request. The request must not
// hit the caller's next statement, so the caller gets its connection back a moment later.
func TestMissedCancelDelaysCaller(t *testing.T) {
	t.Parallel()
	const moment = 40 * time.Millisecond
	db := testdb.New(t)
	blocked := fixture.NewRecord()
	holder, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var answered time.Time // not before the statement could go on
	var once sync.Once
	release := func() {
		once.Do(func() {
			answered = time.Now()
			_ = holder.Rollback(context.WithoutCancel(t.Context()))
		})
	}
	defer release()
	holding := coordaudit.New(db.Pool, fixture.Quiet())
	if _, err := holding.PersistTx(t.Context(), holder, blocked); err != nil {
		t.Fatal(err)
	}

	sent := make(chan struct{}, 1)
	gate := faultproxy.NewCancelGate(t, db.URL, func(net.Conn, []byte) {
		release()
		select {
		case sent <- struct{}{}:
		default:
		}
	})
	pool, err := pgxpool.New(t.Context(), gate.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	config := fixture.Quiet()
	config.Timeout = 200 * time.Millisecond
	_, err = coordaudit.New(pool, config).PersistTx(t.Context(), tx, blocked)
	returned := time.Now()
	select {
	case <-sent:
	case <-time.After(10 * time.Second):
		t.Fatal("no cancel request was sent: the test shows nothing")
	}
	if errors.Is(err, audit.ErrTxLost) {
		t.Skip("the machine is so slow that the server did not answer in time, so the connection is gone and nothing can be tested")
	}
	if waited := returned.Sub(answered); waited < moment {
		t.Errorf("PersistTx() = %v came %v after the statement could go on, want %v at least", err, waited, moment)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Errorf("the caller's transaction: %v", err)
	}
}

func TestCancelDuringRollback(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, sql := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON coordination_audit_records FOR EACH ROW WHEN (NEW.reason = 'refuse this') EXECUTE FUNCTION refuse()`,
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	gate := faultproxy.NewCancelGate(t, db.URL, func(net.Conn, []byte) {})
	pool, err := pgxpool.New(t.Context(), gate.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	config := fixture.Quiet()
	config.Timeout = 30 * time.Second // how fast the machine is, is not tested here
	store := coordaudit.New(pool, config)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for i := range int32(2) { // first stepwise, then in one message
		gate.Spoil.Store(1)
		refused := fixture.NewRecord()
		refused.Reason = "refuse this"
		if _, err := store.PersistTx(t.Context(), tx, refused); !errors.Is(err, audit.ErrRefused) {
			t.Errorf("PersistTx() = %v, want ErrRefused", err)
		}
		if got := gate.Spoiled.Load(); got != i+1 {
			t.Fatalf("%d rollbacks failed under a cancel request, want %d: the test shows nothing", got, i+1)
		}
		if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
			t.Errorf("the next PersistTx() = %v", err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Errorf("the caller's transaction: %v", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

func TestLateConnectionSendsNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	config := db.Pool.Config()
	var inserts insertCounter
	config.ConnConfig.Tracer = &inserts
	var late atomic.Int32
	config.PrepareConn = func(ctx context.Context, _ *pgx.Conn) (bool, error) {
		if _, bounded := ctx.Deadline(); bounded {
			<-ctx.Done() // the time is up when the connection becomes available
			late.Add(1)
		}
		return true, nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(t.Context()); err != nil { // so that there is a connection to wait for
		t.Fatal(err)
	}
	settings := fixture.Quiet()
	settings.Timeout = 500 * time.Millisecond
	store := coordaudit.New(pool, settings)
	for name, call := range map[string]func() error{
		"Persist":         func() error { _, err := store.Persist(t.Context(), fixture.NewRecord()); return err },
		"PersistMany":     func() error { _, err := store.PersistMany(t.Context(), fixture.NewRecords(2)); return err },
		"PersistManyFast": func() error { _, err := store.PersistManyFast(t.Context(), fixture.NewRecords(2)); return err },
	} {
		if err := call(); !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, audit.ErrOutcomeUnknown) {
			t.Errorf("%s() = %v, want ErrUnavailable, by the deadline and without any doubt", name, err)
		}
	}
	if n := late.Load(); n == 0 {
		t.Error("no call got its connection too late: the test shows nothing")
	}
	if n := inserts.n.Load(); n != 0 {
		t.Errorf("%d statements were sent after the time was up", n)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// insertCounter counts the statements that store records.
type insertCounter struct{ n atomic.Int32 }

func (c *insertCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "INSERT INTO coordination_audit_records") {
		c.n.Add(1)
	}
	return ctx
}

func (c *insertCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *insertCounter) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	c.n.Add(1)
	return ctx
}

func (c *insertCounter) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

func TestCloseWaitsForCancels(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	release := make(chan struct{})
	var gate *faultproxy.CancelGate
	gate = faultproxy.NewCancelGate(t, db.URL, func(_ net.Conn, request []byte) {
		server, err := gate.Dial()
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		_, _ = server.Write(request)
		<-release // the request has arrived, but its connection does not end
	})
	config := fixture.Quiet()
	config.Timeout = 100 * time.Millisecond
	pool, err := pgxpool.New(t.Context(), gate.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store := coordaudit.New(pool, config) // its Close has nothing else to wait for
	lock, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := lock.Exec(t.Context(), "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	for { // a slow machine may need all of the time to connect
		_, err := store.Persist(t.Context(), fixture.NewRecord())
		if err == nil {
			t.Fatal("Persist() = nil under a locked table")
		}
		if sqlStateOf(err) == "57014" {
			break
		}
	}

	closed := make(chan struct{})
	go func() {
		defer close(closed)
		store.Close()
	}()
	select {
	case <-closed:
		t.Error("Close returned while a cancel request was on its way")
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	<-closed
}

func sqlStateOf(err error) string {
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok {
		return ""
	}
	return failed.SQLState
}
