package conformance

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

func scopes() []promise {
	return []promise{
		{"GetSeesItsScopeOnly", getSeesItsScopeOnly},
	}
}

func getSeesItsScopeOnly(t *testing.T, db Database) {
	store := newStore(db)
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
