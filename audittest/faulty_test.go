package audittest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/audittest"
)

func storeOn(pool *pgxpool.Pool) *coordaudit.Store {
	return coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Retries: -1})
}

func TestFaultKinds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault     audittest.Fault
		own, inTx error
		state     string
	}{
		"not sent":        {audittest.Fault{Kind: audittest.NotSent}, audit.ErrUnavailable, audit.ErrUnavailable, ""},
		"connection lost": {audittest.Fault{Kind: audittest.ConnectionLost}, audit.ErrUnavailable, audit.ErrTxLost, ""},
		"refused":         {audittest.Fault{Kind: audittest.Refused, SQLState: "23514"}, audit.ErrRefused, audit.ErrRefused, "23514"},
		"deadlock":        {audittest.Fault{Kind: audittest.Refused, SQLState: "40P01"}, audit.ErrUnavailable, audit.ErrUnavailable, "40P01"},
	} {
		for _, mode := range []pgx.QueryExecMode{
			pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
			pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
		} {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := audittest.New(t)
				config := db.Pool.Config()
				config.ConnConfig.DefaultQueryExecMode = mode
				config.MaxConns = 1 // so that the second call gets a connection that has the statement prepared
				base, err := pgxpool.NewWithConfig(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				defer base.Close()
				fault, own := test.fault, test.own
				fault.Statement = audittest.AuditInsert
				if mode == pgx.QueryExecModeSimpleProtocol && errors.Is(test.inTx, audit.ErrTxLost) {
					own = audit.ErrOutcomeUnknown // pgx does not report in this case whether anything was sent
				}
				failOwn(t, base, fault, own, test.state)
				want := []audit.Record{newRecord(), newRecord()}
				if failInTx(t, base, fault, test.inTx, test.state) {
					want = append(want, newRecord(), newRecord())
				}
				audittest.RequirePersisted(t, t.Context(), db.Pool, want...)
			})
		}
	}
}

// failOwn lets one Persist pass, then makes one Persist and one PersistMany fail.
func failOwn(t *testing.T, base *pgxpool.Pool, fault audittest.Fault, want error, state string) {
	t.Helper()
	fault.After, fault.Times = 1, 2
	store := storeOn(audittest.Faulty(t, base, fault))
	if _, err := store.Persist(t.Context(), newRecord()); err != nil {
		t.Error("before the fault: ", err)
	}
	_, err := store.Persist(t.Context(), newRecord())
	checkFailure(t, err, want, state)
	_, err = store.PersistMany(t.Context(), []audit.Record{newRecord()})
	checkFailure(t, err, want, state)
	if _, err := store.Persist(t.Context(), newRecord()); err != nil {
		t.Error("after the fault: ", err)
	}
}

// failInTx makes one PersistTx fail on a fresh connection, and one on a connection
// that has the statement prepared. The transaction must stay usable, unless its
// connection was lost.
func failInTx(t *testing.T, base *pgxpool.Pool, fault audittest.Fault, want error, state string) (usable bool) {
	t.Helper()
	usable = !errors.Is(want, audit.ErrTxLost)
	fault.Times = 1
	for _, fault.After = range []int{0, 1} {
		pool := audittest.Faulty(t, base, fault)
		store := storeOn(pool)
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if fault.After > 0 {
				if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
					return err
				}
			}
			_, err := store.PersistTx(t.Context(), tx, newRecord())
			checkFailure(t, err, want, state)
			if fault.After > 0 || !usable {
				return nil
			}
			_, err = store.PersistTx(t.Context(), tx, newRecord())
			return err
		})
		if (err == nil) != usable {
			t.Errorf("the transaction ended with %v", err)
		}
	}
	return usable
}

func checkFailure(t *testing.T, err, want error, state string) {
	t.Helper()
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || !errors.Is(err, want) || failed.SQLState != state {
		t.Errorf("error %v, want %v with SQLSTATE %q", err, want, state)
	}
}

// A service's own statements, with and without arguments, alone and in a batch.
func TestFaultOnOwnStatement(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	if _, err := db.Pool.Exec(t.Context(), "CREATE TABLE orders (id int PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func(context.Context, *pgxpool.Pool) error{
		"Exec":              execute("INSERT INTO orders VALUES ($1)", 1),
		"Exec without":      execute("INSERT INTO orders VALUES (1)"),
		"Exec with a mode":  execute("INSERT INTO orders VALUES ($1)", pgx.QueryExecModeExec, 1),
		"QueryRow":          queryRow("INSERT INTO orders VALUES ($1) RETURNING id", 1),
		"QueryRow without":  queryRow("INSERT INTO orders VALUES (1) RETURNING id"),
		"long, and without": execute("INSERT INTO orders VALUES (1) /* " + strings.Repeat("long ", 100) + "*/"),
		"batch": func(ctx context.Context, pool *pgxpool.Pool) error {
			var batch pgx.Batch
			batch.Queue("SELECT 1")
			batch.Queue("INSERT INTO orders VALUES ($1)", 1)
			return pool.SendBatch(ctx, &batch).Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := audittest.Faulty(t, db.Pool,
				audittest.Fault{Statement: "INSERT INTO orders", Kind: audittest.NotSent, Times: 1},
				audittest.Fault{Statement: "INSERT INTO orders", Kind: audittest.ConnectionLost, After: 1, Times: 1},
				audittest.Fault{Statement: "INSERT INTO orders", Kind: audittest.Refused, SQLState: "23505", After: 2},
			)
			if err := run(t.Context(), pool); !errors.Is(err, audittest.ErrNotSent) || !pgconn.SafeToRetry(err) || errors.Is(err, context.Canceled) {
				t.Errorf("not sent: %v", err)
			}
			var refusal *pgconn.PgError
			if err := run(t.Context(), pool); err == nil || errors.As(err, &refusal) {
				t.Errorf("connection lost: %v", err)
			}
			for range 2 {
				if err := run(t.Context(), pool); !errors.As(err, &refusal) || refusal.Code != "23505" {
					t.Errorf("refused: %v", err)
				}
			}
			var n int
			if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 0 {
				t.Errorf("%d orders, %v; want none", n, err)
			}
		})
	}
}

func execute(sql string, args ...any) func(context.Context, *pgxpool.Pool) error {
	return func(ctx context.Context, pool *pgxpool.Pool) error {
		_, err := pool.Exec(ctx, sql, args...)
		return err
	}
}

func queryRow(sql string, args ...any) func(context.Context, *pgxpool.Pool) error {
	return func(ctx context.Context, pool *pgxpool.Pool) error {
		var id int
		return pool.QueryRow(ctx, sql, args...).Scan(&id)
	}
}

func TestFaultOnCommit(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	pool := audittest.Faulty(t, db.Pool, audittest.Fault{Statement: "commit", Kind: audittest.Refused, SQLState: "40001", Times: 1})
	for _, want := range []string{"40001", ""} {
		state := ""
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := db.Store.PersistTx(t.Context(), tx, newRecord())
			return err
		})
		if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
			state = refusal.Code
		}
		if state != want {
			t.Errorf("the commit ended with %v, want SQLSTATE %q", err, want)
		}
	}
	audittest.RequirePersisted(t, t.Context(), db.Pool, newRecord())
}

func TestRetryAfterFault(t *testing.T) {
	t.Parallel()
	for _, fault := range []audittest.Fault{
		{Kind: audittest.NotSent}, {Kind: audittest.ConnectionLost}, {Kind: audittest.Refused, SQLState: "40001"},
	} {
		db := audittest.New(t)
		fault.Statement, fault.Times = "PersistAuditRecord", 1
		store := coordaudit.New(audittest.Faulty(t, db.Pool, fault), coordaudit.Config{Logger: slog.New(slog.DiscardHandler), RetryDelay: time.Millisecond})
		if result, err := store.Persist(t.Context(), newRecord()); err != nil || result.Outcome != audit.Persisted {
			t.Errorf("fault %d: %v, %v", fault.Kind, result, err)
		}
		// Another query whose name has the same beginning passes.
		if _, err := store.PersistMany(t.Context(), []audit.Record{newRecord()}); err != nil {
			t.Error(err)
		}
		audittest.RequirePersisted(t, t.Context(), db.Pool, newRecord(), newRecord())
	}
}

func TestPoolTracerIsKept(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	var log strings.Builder
	config := db.Pool.Config()
	config.ConnConfig.Tracer = coordaudit.NewTraceLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	traced, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer traced.Close()
	pool := audittest.Faulty(t, traced, audittest.Fault{Statement: "SELECT 1", Kind: audittest.Refused, SQLState: "57014"})
	if _, err := pool.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("nothing failed")
	}
	if !strings.Contains(log.String(), "sqlstate=57014") {
		t.Errorf("the pool's own tracer logged %q", log.String())
	}
}

func TestUnusedFaultFails(t *testing.T) {
	t.Parallel()
	db := audittest.New(t)
	for want, fault := range map[string]audittest.Fault{
		"an empty Statement": {Kind: audittest.NotSent},
		"no such Kind as 0":  {Statement: "x"},
		"for Refused only":   {Statement: "x", Kind: audittest.NotSent, SQLState: "40001"},
		`"00000" is not`:     {Statement: "x", Kind: audittest.Refused, SQLState: "00000"},
		`"40'01" is not`:     {Statement: "x", Kind: audittest.Refused, SQLState: "40'01"},
		"a negative After":   {Statement: "x", Kind: audittest.NotSent, After: -1},
		"never struck":       {Statement: "x", Kind: audittest.NotSent},
	} {
		if text := failedTest(t, func(tb testing.TB) { tb.Helper(); audittest.Faulty(tb, db.Pool, fault) }); !strings.Contains(text, want) {
			t.Errorf("failed with %q, want %q", text, want)
		}
	}
}
