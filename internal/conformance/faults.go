package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
)

func faults() []promise {
	return []promise{
		{"AnUnreachableDatabaseIsSaidPlainly", anUnreachableDatabaseIsSaidPlainly},
		{"ACommitInDoubtIsNeverGuessed", aCommitInDoubtIsNeverGuessed},
		{"ALostConnectionIsRetriedOnceWithTheSameID", aLostConnectionIsRetriedOnceWithTheSameID},
		{"TerminatedBackendsLoseNoRecord", terminatedBackendsLoseNoRecord},
		{"DoubtIsKeptOverALaterAttempt", doubtIsKeptOverALaterAttempt},
		{"AStoreWithoutAPoolServesTransactionsOnly", aStoreWithoutAPoolServesTransactionsOnly},
		{"PersistOutlivesTheCallersCancellation", persistOutlivesTheCallersCancellation},
	}
}

func anUnreachableDatabaseIsSaidPlainly(t *testing.T, _ Database) {
	store := openStore(t, "postgres://user:hunter2@127.0.0.1:1/db?sslmode=disable", quiet())
	_, err := store.Persist(t.Context(), newRecord())
	if !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("Persist() = %v, want ErrUnavailable alone", err)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || failed.Attempts != 2 {
		t.Errorf("error %v, want a PersistError of 2 attempts", err)
	}
}

func aStoreWithoutAPoolServesTransactionsOnly(t *testing.T, db Database) {
	store := coordaudit.New(nil, quiet())
	if _, err := store.Persist(t.Context(), newRecord()); !errors.Is(err, audit.ErrNoPool) {
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
	if receipt, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil || receipt.Outcome != audit.Persisted {
		t.Errorf("PersistTx() = %+v, %v; want Persisted", receipt, err)
	}
}

func persistOutlivesTheCallersCancellation(t *testing.T, db Database) {
	store := newStore(db)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	receipt, err := store.Persist(ctx, newRecord())
	if err != nil || receipt.Outcome != audit.Persisted {
		t.Errorf("Persist() with a cancelled context = %+v, %v; want Persisted", receipt, err)
	}
}

// The connection breaks at a chosen message of the statement's own commit. With
// no retry the outcome is in doubt; trying again with the same id settles it.
func aCommitInDoubtIsNeverGuessed(t *testing.T, db Database) {
	type cut struct {
		at     func(*faultproxy.Proxy)
		stored int // what a look past the store finds
	}
	extended := map[string]cut{
		"before the statement arrives":       {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Execute) }, 0},
		"before the commit":                  {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Sync) }, 0},
		"after the row, with the completion": {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }, 1},
		"after the commit, with the answer":  {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.ReadyForQuery) }, 1},
	}
	simple := map[string]cut{ // one message asks for all, and a completion comes after its commit
		"before the statement arrives":          {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Query) }, 0},
		"after the commit, with the completion": {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.CommandComplete) }, 1},
	}
	for mode, cuts := range map[string]map[string]cut{
		"cache_statement": extended, "cache_describe": extended, "exec": extended, "simple_protocol": simple,
	} {
		for name, cut := range cuts {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				db := db.another(t)
				proxy := faultproxy.New(t, db.URL)
				config := quiet()
				config.Retries = -1
				url := withSetting(withSetting(proxy.URL(), "pool_max_conns=1"), "default_query_exec_mode="+mode)
				store := openStore(t, url, config)
				mustPersist(t, store, newRecord()) // what a mode prepares is prepared now
				cut.at(proxy)
				wantInDoubtAndSettled(t, store, db, cut.stored)
			})
		}
	}
}

func wantInDoubtAndSettled(t *testing.T, store *coordaudit.Store, db Database, stored int) {
	t.Helper()
	rec := newRecord()
	receipt, err := store.Persist(t.Context(), rec)
	if !errors.Is(err, audit.ErrOutcomeUnknown) || receipt.AuditID != rec.AuditID || receipt.Outcome != "" {
		t.Fatalf("Persist() = %+v, %v; want ErrOutcomeUnknown", receipt, err)
	}
	eventually(t, func() bool {
		return queryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", rec.AuditID) == stored
	})
	want := []audit.Outcome{audit.Persisted, audit.AlreadyPersisted}[stored]
	if receipt := mustPersist(t, store, rec); receipt.Outcome != want {
		t.Errorf("trying again: outcome %s, want %s", receipt.Outcome, want)
	}
}

func aLostConnectionIsRetriedOnceWithTheSameID(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, withSetting(proxy.URL(), "pool_max_conns=1"), quiet())
	mustPersist(t, store, newRecord())

	rec := newRecord()
	proxy.CutAtServer(faultproxy.ReadyForQuery)
	receipt, err := store.Persist(t.Context(), rec)
	if err != nil || receipt.Outcome != audit.AlreadyPersisted {
		t.Errorf("the acknowledgement was lost: Persist() = %+v, %v; want AlreadyPersisted", receipt, err)
	}
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// Row 7: one terminated backend cost the predecessor one record each time.
func terminatedBackendsLoseNoRecord(t *testing.T, db Database) {
	store := openStore(t, db.URL, quiet())
	for range 20 {
		mustPersist(t, store, newRecord())
		mustExec(t, db.Pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
	if n := countRecords(t, db.Pool); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
}

// A later attempt that could not even connect does not settle what an earlier one left open.
func doubtIsKeptOverALaterAttempt(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	config := quiet()
	config.Timeout = time.Second
	store := openStore(t, withSetting(proxy.URL(), "pool_max_conns=1"), config)
	mustPersist(t, store, newRecord())
	proxy.CutAtServer(faultproxy.ReadyForQuery)
	proxy.StallNewConnections()
	_, err := store.Persist(t.Context(), newRecord())
	if !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("Persist() = %v, want ErrOutcomeUnknown", err)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || failed.Attempts != 2 {
		t.Errorf("error %v, want a PersistError of 2 attempts", err)
	}
	proxy.Close()
}
