package auditdriver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func record() audit.Record {
	return audit.Record{
		AuditID:           uuid.Must(uuid.NewV7()),
		EnvelopeID:        "retry-backoff-7",
		EnvelopeClass:     audit.Reliability,
		Decision:          audit.Applied,
		Reason:            "applied, nothing stood in its way",
		DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}
}

// driverOn returns a driver with a single connection.
func driverOn(t *testing.T, url string, set func(*pgxpool.Config)) (*auditdriver.Driver, *pgxpool.Pool) {
	t.Helper()
	w := workbench{url: url}
	pool := w.pool(t, func(config *pgxpool.Config) {
		if set != nil {
			set(config)
		}
	})
	return auditdriver.New(pool), pool
}

// call is one way to persist a record.
type call struct {
	name    string
	persist func(*audit.Record) (audit.Result, error)
}

// calls are all of them. Those in a transaction commit it.
func calls(t *testing.T, driver *auditdriver.Driver, pool *pgxpool.Pool) []call {
	t.Helper()
	only := func(items []auditdriver.Item, err error) (audit.Result, error) {
		if err != nil || len(items) != 1 {
			return audit.Result{}, errors.Join(err, errors.New("not one item"))
		}
		return items[0].Result, items[0].Err
	}
	ctx := t.Context()
	return []call{
		{"Persist", func(rec *audit.Record) (audit.Result, error) { return driver.Persist(ctx, rec) }},
		{"PersistMany", func(rec *audit.Record) (audit.Result, error) {
			return only(driver.PersistMany(ctx, []audit.Record{*rec}))
		}},
		{"PersistMissing", func(rec *audit.Record) (audit.Result, error) {
			return only(driver.PersistMissing(ctx, []audit.Record{*rec}))
		}},
		{"PersistTx", func(rec *audit.Record) (result audit.Result, err error) {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return result, err
			}
			result, err = driver.PersistTx(ctx, tx, rec)
			return result, errors.Join(err, tx.Commit(ctx))
		}},
	}
}

// Each call returns the first row's result for the same record, and names the fields of
// another one.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, pool := driverOn(t, db.URL, nil)
	for _, first := range calls(t, driver, pool) {
		rec := record()
		stored, err := first.persist(&rec)
		if err != nil || stored.Outcome != audit.Persisted || stored.AuditID != rec.AuditID || stored.Seq == 0 || stored.CreatedAt.IsZero() {
			t.Fatalf("%s: %+v, %v; want persisted", first.name, stored, err)
		}
		stored.Outcome = audit.AlreadyPersisted
		for _, again := range calls(t, driver, pool) {
			result, err := again.persist(&rec)
			if diff := cmp.Diff(stored, result); err != nil || diff != "" {
				t.Errorf("%s after %s: %v (-want +got):\n%s", again.name, first.name, err, diff)
			}
			other := rec
			other.Reason, other.TenantID = "another", "acme"
			_, err = again.persist(&other)
			conflict, ok := errors.AsType[*audit.ConflictError](err)
			if !ok || conflict.AuditID != rec.AuditID || !slices.Equal(conflict.Fields, []string{"reason", "tenant_id"}) {
				t.Errorf("%s of another record: %v, want a conflict in reason and tenant_id", again.name, err)
			}
		}
	}
}

// A batch decides on each record by itself, and on a repeated one by its first occurrence.
func TestBatchOutcomes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, pool := driverOn(t, db.URL, nil)
	inTx := func(ctx context.Context, recs []audit.Record) ([]auditdriver.Item, error) {
		tx, err := pool.Begin(ctx)
		if err != nil {
			return nil, err
		}
		items, err := driver.PersistManyTx(ctx, tx, recs)
		return items, errors.Join(err, tx.Commit(ctx))
	}
	for name, persist := range map[string]func(context.Context, []audit.Record) ([]auditdriver.Item, error){
		"PersistMany": driver.PersistMany, "PersistMissing": driver.PersistMissing, "PersistManyTx": inTx,
	} {
		taken, fresh := record(), record()
		if _, err := driver.Persist(t.Context(), &taken); err != nil {
			t.Fatal(err)
		}
		clash, changed := taken, fresh
		clash.Reason, changed.Reason = "another", "another"
		items, err := persist(t.Context(), []audit.Record{taken, clash, fresh, fresh, changed})
		if err != nil || len(items) != 5 {
			t.Fatalf("%s: %+v, %v", name, items, err)
		}
		var got []string
		for _, item := range items {
			got = append(got, string(item.Result.Outcome))
			if conflict := errors.Is(item.Err, audit.ErrConflict); conflict != (item.Err != nil) || conflict == (item.Result.Seq != 0) {
				t.Errorf("%s: %+v, want a result or a conflict", name, item)
			}
		}
		if want := []string{"already_persisted", "", "persisted", "already_persisted", ""}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if items[2].Result.Seq != items[3].Result.Seq || items[2].Result.AuditID != fresh.AuditID || items[0].Result.AuditID != taken.AuditID {
			t.Errorf("%s: %+v, want the same row for a repeated record", name, items)
		}
	}
}

// A stored record is only reported as such if it can be made as durable as a fresh commit.
// In a transaction, only a failing call is harmed.
func TestUnconfirmedRecordStaysInDoubt(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	role := fmt.Sprintf("writer_%d", time.Now().UnixNano()) // of the server, which others use
	grants := "CREATE ROLE " + role + "; GRANT INSERT, SELECT ON coordination_audit_records TO " + role +
		"; REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) FROM PUBLIC"
	if _, err := db.Pool.Exec(t.Context(), grants); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = db.Pool.Exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+"; DROP ROLE "+role)
	})
	driver, pool := driverOn(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["role"] = role })
	for _, call := range calls(t, driver, pool) {
		rec := record()
		if result, err := call.persist(&rec); err != nil || result.Outcome != audit.Persisted {
			t.Fatalf("%s: %+v, %v; want persisted", call.name, result, err)
		}
		result, err := call.persist(&rec)
		failure, ok := errors.AsType[*auditdriver.StatementError](err)
		if !ok || result.Outcome != "" || failure.SQLState != "42501" || failure.Retryable {
			t.Errorf("%s again: %+v, %v; want SQLSTATE 42501", call.name, result, err)
			continue
		}
		if call.name == "PersistTx" {
			if !errors.Is(err, audit.ErrRefused) {
				t.Errorf("%s again: %v, want ErrRefused", call.name, err)
			}
			continue
		}
		const step = "grant this role EXECUTE on function pg_logical_emit_message"
		if !errors.Is(err, audit.ErrOutcomeUnknown) || !strings.Contains(err.Error(), step) {
			t.Errorf("%s again: %v, want ErrOutcomeUnknown and the grant", call.name, err)
		}
	}
}

// A dry run judges each record and stores none.
func TestDryRun(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	taken, fresh, second := record(), record(), record()
	if _, err := driver.Persist(t.Context(), &taken); err != nil {
		t.Fatal(err)
	}
	clash, invalid := taken, record()
	clash.Reason = "another"
	invalid.ActiveEnvelopesCount = -1
	items, err := driver.DryRun(t.Context(), []audit.Record{fresh, invalid, clash, second})
	if err != nil || len(items) != 4 || items[0].Result.Outcome != audit.Persisted || items[3].Result.Outcome != audit.Persisted {
		t.Fatalf("%+v, %v; want four items, the first and the last persisted", items, err)
	}
	if !errors.Is(items[1].Err, audit.ErrRefused) || auditdriver.RefusesAll(items[1].Err) || !errors.Is(items[2].Err, audit.ErrConflict) {
		t.Errorf("%v and %v, want a refusal, no one blamed, and a conflict", items[1].Err, items[2].Err)
	}
	if items, err = driver.DryRun(t.Context(), []audit.Record{invalid, fresh}); err != nil || len(items) != 1 {
		t.Errorf("%+v, %v; want an end at the first record", items, err)
	}
	for _, rec := range []audit.Record{fresh, second} {
		if _, err := driver.Get(t.Context(), audit.AllTenants(), rec.AuditID); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("after a dry run: %v, want ErrNotFound", err)
		}
	}
}
