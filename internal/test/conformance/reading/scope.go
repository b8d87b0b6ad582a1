package reading

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A trail that holds only the records of one scope must look the same as one that holds others as
// well.
func readsSeeTheirScope(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := make([]audit.Record, 200)
	for i := range recs {
		recs[i] = varied(i)
	}
	if _, err := store.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	for _, scope := range everyScope() {
		t.Run(scope.String(), func(t *testing.T) {
			t.Parallel()
			alone := frame.NewStore(db.Another(t))
			own := wanted(recs, audit.Query{Scope: scope, Order: audit.OldestFirst})
			if _, err := alone.PersistMany(t.Context(), own); err != nil {
				t.Fatal(err)
			}
			ignoreInsertion := cmpopts.IgnoreFields(audit.Record{}, "Seq", "CreatedAt")
			if diff := cmp.Diff(everyRead(t, alone, scope), everyRead(t, store, scope), ignoreInsertion, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("among others' records (-alone +among others):\n%s", diff)
			}
		})
	}
}

// The predecessor stored an empty tenant as an empty text, and such rows are adopted.
func emptyTenantIsNone(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewRecord()
	rec.TenantID, rec.EnvelopeID = "", "envelope-1"
	fixture.MustPersist(t, store, rec)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_optional_ids_not_empty")
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		VALUES (gen_random_uuid(), 'envelope-1', 'COST', 'APPLIED', 'adopted', '2026-01-02 00:00:00+00', '')`)
	for scope, want := range map[audit.Scope]int64{audit.NoTenant(): 2, audit.AllTenants(): 2, audit.Tenant("acme"): 0} {
		got := everyRead(t, store, scope)
		if int64(len(got.Page.Records)) != want || got.Count != want || int64(len(got.Timeline.Entries)) != want ||
			got.Breakdown.Total != want || got.Breakdown.ByTenant[""] != want {
			t.Errorf("%s: %+v, want %d records", scope, got, want)
		}
	}
}

func getSeesItsScope(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	tenants, free := fixture.NewRecord(), fixture.NewRecord()
	free.TenantID = ""
	fixture.MustPersist(t, store, tenants)
	fixture.MustPersist(t, store, free)
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
