package faults

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func unreachableIsReported(t *testing.T, _ frame.Database) {
	store := fixture.OpenStore(t, "postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable", fixture.Quiet())
	_, err := store.Persist(t.Context(), fixture.NewRecord())
	if !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("Persist() = %v, want ErrUnavailable alone", err)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || failed.Attempts != 2 {
		t.Errorf("error %v, want a PersistError of 2 attempts", err)
	}
}

func noPoolServesTransactions(t *testing.T, db frame.Database) {
	store := coordaudit.New(nil, fixture.Quiet())
	if _, err := store.Persist(t.Context(), fixture.NewRecord()); !errors.Is(err, audit.ErrNoPool) {
		t.Errorf("Persist() = %v, want ErrNoPool", err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), uuid.New()); !errors.Is(err, audit.ErrNoPool) {
		t.Errorf("Get() = %v, want ErrNoPool", err)
	}
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if result, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil || result.Outcome != audit.Persisted {
		t.Errorf("PersistTx() = %+v, %v; want Persisted", result, err)
	}
}

func persistOutlivesCancel(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := store.Persist(ctx, fixture.NewRecord())
	if err != nil || result.Outcome != audit.Persisted {
		t.Errorf("Persist() with a cancelled context = %+v, %v; want Persisted", result, err)
	}
}

// The connection breaks at a chosen message of the statement's own commit. Without a retry the
// outcome is in doubt. A second call with the same id ends the doubt.
func doubtIsReported(t *testing.T, db frame.Database) {
	type cut struct {
		at     func(*faultproxy.Proxy)
		stored int // rows found without the store
	}
	extended := map[string]cut{
		"before the statement arrives":       {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Execute) }, 0},
		"before the commit":                  {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Sync) }, 0},
		"after the row, with the completion": {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }, 1},
		"after the commit, with the answer":  {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.ReadyForQuery) }, 1},
	}
	simple := map[string]cut{ // one message asks for everything, and the completion comes after the commit
		"before the statement arrives":          {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Query) }, 0},
		"after the commit, with the completion": {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }, 1},
	}
	for mode, cuts := range map[string]map[string]cut{
		"cache_statement": extended, "cache_describe": extended, "exec": extended, "simple_protocol": simple,
	} {
		for name, cut := range cuts {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				proxy := faultproxy.New(t, db.URL)
				config := fixture.Quiet()
				config.Retries = -1
				url := fixture.WithSetting(fixture.WithSetting(proxy.URL(), "pool_max_conns=1"), "default_query_exec_mode="+mode)
				store := fixture.OpenStore(t, url, config)
				fixture.MustPersist(t, store, fixture.NewRecord()) // so that the mode has prepared its statements
				cut.at(proxy)
				if db.Distributed && name == "before the commit" { // the worker may have committed its row
					wantDoubtThenEither(t, store, db)
					return
				}
				wantDoubtThenOutcome(t, store, db, cut.stored)
			})
		}
	}
}

func wantDoubtThenOutcome(t *testing.T, store *coordaudit.Store, db frame.Database, stored int) {
	t.Helper()
	rec := fixture.NewRecord()
	result, err := store.Persist(t.Context(), rec)
	if !errors.Is(err, audit.ErrOutcomeUnknown) || result.AuditID != rec.AuditID || result.Outcome != "" {
		t.Fatalf("Persist() = %+v, %v; want ErrOutcomeUnknown", result, err)
	}
	fixture.Eventually(t, func() bool {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", rec.AuditID) == stored
	})
	want := []audit.Outcome{audit.Persisted, audit.AlreadyPersisted}[stored]
	if result := fixture.MustPersist(t, store, rec); result.Outcome != want {
		t.Errorf("trying again: outcome %s, want %s", result.Outcome, want)
	}
}

// wantDoubtThenEither is for a cut after which the row may be stored or not. One row remains in either case.
func wantDoubtThenEither(t *testing.T, store *coordaudit.Store, db frame.Database) {
	t.Helper()
	rec := fixture.NewRecord()
	result, err := store.Persist(t.Context(), rec)
	if !errors.Is(err, audit.ErrOutcomeUnknown) || result.AuditID != rec.AuditID || result.Outcome != "" {
		t.Fatalf("Persist() = %+v, %v; want ErrOutcomeUnknown", result, err)
	}
	fixture.MustPersist(t, store, rec)
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", rec.AuditID); n != 1 {
		t.Errorf("%d rows of a record that was sent again, want 1", n)
	}
}

func lostAnswerIsRetried(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	store := fixture.OpenStore(t, fixture.WithSetting(proxy.URL(), "pool_max_conns=1"), fixture.Quiet())
	fixture.MustPersist(t, store, fixture.NewRecord())

	rec := fixture.NewRecord()
	proxy.CutAtServer(faultproxy.ReadyForQuery)
	result, err := store.Persist(t.Context(), rec)
	if err != nil || result.Outcome != audit.AlreadyPersisted {
		t.Errorf("the acknowledgement was lost: Persist() = %+v, %v; want AlreadyPersisted", result, err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// Row 7: the predecessor lost one record for each terminated backend.
func endedSessionsLoseNothing(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, db.URL, fixture.Quiet())
	for range 20 {
		fixture.MustPersist(t, store, fixture.NewRecord())
		fixture.MustExec(t, db.Pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	if n := fixture.CountRecords(t, db.Pool); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
}

// A later attempt that could not connect does not end the doubt of an earlier one.
func doubtOutlivesRetry(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	config := fixture.Quiet()
	config.Timeout = time.Second
	store := fixture.OpenStore(t, fixture.WithSetting(proxy.URL(), "pool_max_conns=1"), config)
	fixture.MustPersist(t, store, fixture.NewRecord())
	proxy.CutAtServer(faultproxy.ReadyForQuery)
	proxy.StallNewConnections()
	_, err := store.Persist(t.Context(), fixture.NewRecord())
	if !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("Persist() = %v, want ErrOutcomeUnknown", err)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || failed.Attempts != 2 {
		t.Errorf("error %v, want a PersistError of 2 attempts", err)
	}
	proxy.Close()
}
