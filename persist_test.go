package coordaudit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func TestPersistStoresWhatGetReturns(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	records := map[string]audit.Record{
		"applied": newRecord(),
		"rejected, no tenant": func() audit.Record {
			rec := newRecord()
			rec.Decision, rec.ConflictingEnvelopeID, rec.TenantID = audit.Rejected, "other", ""
			return rec
		}(),
		"preempted": func() audit.Record {
			rec := newRecord()
			rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, "safety-cap"
			return rec
		}(),
		"no class, another zone, nanoseconds": func() audit.Record {
			rec := newRecord()
			rec.EnvelopeClass = ""
			rec.DecisionTimestamp = time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.FixedZone("", 5*3600+1800))
			return rec
		}(),
		"the bounds": func() audit.Record {
			rec := newRecord()
			rec.EnvelopeID, rec.TenantID = strings.Repeat("é", 100), strings.Repeat("🚀", 100)
			rec.Reason = strings.Repeat("x", audit.MaxReasonBytes)
			rec.ActiveEnvelopesCount = 1<<31 - 1
			rec.DecisionTimestamp = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
			return rec
		}(),
		"quotes, backslashes, commas, braces": func() audit.Record {
			rec := newRecord()
			rec.EnvelopeID, rec.Reason, rec.TenantID = `{"a",'b'\}`, "NULL", ` \N,"" `
			return rec
		}(),
	}
	for name, rec := range records {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receipt := mustPersist(t, store, rec)
			got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
			if err != nil {
				t.Fatal(err)
			}
			want := rec.Normalized()
			want.Seq, want.CreatedAt = receipt.Seq, receipt.CreatedAt
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if got.Seq == 0 || time.Since(got.CreatedAt).Abs() > time.Hour || got.CreatedAt.Location() != time.UTC {
				t.Errorf("seq %d and created_at %v are not the database's", got.Seq, got.CreatedAt)
			}
		})
	}
}

func TestAZeroIDIsMadeAndComesBackInTheReceipt(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	rec := newRecord()
	rec.AuditID = uuid.Nil
	first, second := mustPersist(t, store, rec), mustPersist(t, store, rec)
	if first.AuditID == uuid.Nil || first.AuditID.Version() != 7 || first.AuditID == second.AuditID {
		t.Errorf("ids %v and %v, want two of version 7", first.AuditID, second.AuditID)
	}
	if second.Seq <= first.Seq {
		t.Errorf("seq went from %d to %d, want it to grow", first.Seq, second.Seq)
	}
}

func TestPersistingTwiceIsOnceWithTheFirstReceipt(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	rec := newRecord()
	first := mustPersist(t, store, rec)
	rec.DecisionTimestamp = rec.DecisionTimestamp.Add(999 * time.Nanosecond).In(time.FixedZone("", -3600))
	second := mustPersist(t, store, rec)

	want := first
	want.Outcome = audit.AlreadyPersisted
	if diff := cmp.Diff(want, second); diff != "" || first.Outcome != audit.Persisted {
		t.Errorf("first outcome %s, second receipt (-want +got):\n%s", first.Outcome, diff)
	}
	if n := countRecords(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestAnotherContentUnderTheIDIsRefusedByTheFieldsNames(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	rec := newRecord()
	mustPersist(t, store, rec)

	other := rec
	other.Reason, other.TenantID, other.ActiveEnvelopesCount = "secret reason", "secret tenant", 5
	receipt, err := store.Persist(t.Context(), other)
	conflict, ok := errors.AsType[*audit.ConflictError](err)
	if !ok || !errors.Is(err, audit.ErrConflict) {
		t.Fatalf("error %v, want a ConflictError", err)
	}
	if diff := cmp.Diff([]string{"reason", "active_envelopes_count", "tenant_id"}, conflict.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), rec.AuditID.String()) {
		t.Errorf("the error must name the id and no values: %v", err)
	}
	if receipt != (audit.Receipt{AuditID: rec.AuditID}) {
		t.Errorf("receipt %+v, want the id alone", receipt)
	}
	stored, err := store.Get(t.Context(), audit.Tenant("acme"), rec.AuditID)
	if err != nil || len(stored.DiffersIn(rec)) > 0 {
		t.Errorf("the stored record changed: %+v, %v", stored, err)
	}
}

func TestAReplayChecksAndWritesNothing(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	replay := store.Replaying()
	rec := newRecord()
	receipt, err := replay.Persist(t.Context(), rec)
	if err != nil || receipt != (audit.Receipt{AuditID: rec.AuditID, Outcome: audit.Skipped}) {
		t.Errorf("Persist() = %+v, %v; want Skipped", receipt, err)
	}
	receipts, err := replay.PersistMany(t.Context(), newRecords(3))
	if err != nil || len(receipts) != 3 || receipts[2].Outcome != audit.Skipped {
		t.Errorf("PersistMany() = %+v, %v; want Skipped", receipts, err)
	}
	rec.EnvelopeClass = "garbage"
	if _, err := replay.Persist(t.Context(), rec); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("garbage in a replay: %v, want ErrInvalidRecord", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	want := audit.Counts{Attempts: 5, Skipped: 4, Failed: 1}
	if diff := cmp.Diff(want, store.Stats().Total()); diff != "" {
		t.Errorf("the store and its replaying twin share their counts (-want +got):\n%s", diff)
	}
}

func TestPersistOutlivesTheCallersCancellation(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	receipt, err := store.Persist(ctx, newRecord())
	if err != nil || receipt.Outcome != audit.Persisted {
		t.Errorf("Persist() with a cancelled context = %+v, %v; want Persisted", receipt, err)
	}
}

func TestGetSeesItsScopeOnly(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	tenants, free := newRecord(), newRecord()
	free.TenantID = ""
	mustPersist(t, store, tenants)
	mustPersist(t, store, free)
	tests := map[string]struct {
		scope audit.Scope
		id    uuid.UUID
		want  error
	}{
		"its tenant":                     {audit.Tenant("acme"), tenants.AuditID, nil},
		"another tenant":                 {audit.Tenant("acme2"), tenants.AuditID, audit.ErrNotFound},
		"no tenant, of a tenant's":       {audit.NoTenant(), tenants.AuditID, audit.ErrNotFound},
		"no tenant":                      {audit.NoTenant(), free.AuditID, nil},
		"a tenant, of a tenantless one":  {audit.Tenant("acme"), free.AuditID, audit.ErrNotFound},
		"all tenants, of a tenant's":     {audit.AllTenants(), tenants.AuditID, nil},
		"all tenants, of a tenantless":   {audit.AllTenants(), free.AuditID, nil},
		"all tenants, of an unknown one": {audit.AllTenants(), uuid.New(), audit.ErrNotFound},
		"no scope":                       {audit.Scope{}, tenants.AuditID, audit.ErrNoScope},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, err := store.Get(t.Context(), test.scope, test.id)
			if !errors.Is(err, test.want) {
				t.Fatalf("Get() error %v, want %v", err, test.want)
			}
			if err == nil && rec.AuditID != test.id {
				t.Errorf("Get() returned record %s", rec.AuditID)
			}
			if err != nil && !strings.Contains(err.Error(), test.id.String()) {
				t.Errorf("the error does not name the id: %v", err)
			}
		})
	}
}

func TestAClosedStoreRefusesAndCountsIt(t *testing.T) {
	t.Parallel()
	store, db := newStore(t)
	store.Close()
	store.Close()
	if _, err := store.Persist(t.Context(), newRecord()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Persist() = %v, want ErrClosed", err)
	}
	if _, err := store.PersistMany(t.Context(), newRecords(2)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("PersistMany() = %v, want ErrClosed", err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), uuid.New()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Get() = %v, want ErrClosed", err)
	}
	if got := store.Stats().Total(); got != (audit.Counts{Attempts: 3, Failed: 3}) {
		t.Errorf("counts %+v, want 3 failed", got)
	}
	if err := db.Pool.Ping(t.Context()); err != nil {
		t.Errorf("the caller's pool was closed: %v", err)
	}
}

func TestAStoreWithoutAPoolServesTransactionsOnly(t *testing.T) {
	t.Parallel()
	_, db := newStore(t)
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
