package audit

import (
	"fmt"
	"strconv"
	"strings"
)

// Scope says whose records a query sees. Its zero value is refused with [ErrNoScope], so
// that no query reads another tenant's records by default. A record outside the scope is
// not found, as if it did not exist.
type Scope struct {
	kind   scopeKind
	tenant string
}

type scopeKind int

const (
	scopeUnset scopeKind = iota
	scopeTenant
	scopeNoTenant
	scopeAllTenants
)

// Tenant sees the records of one tenant. An empty id is refused. Use [NoTenant] instead.
func Tenant(id string) Scope { return Scope{kind: scopeTenant, tenant: id} }

// NoTenant sees the records that belong to no tenant.
func NoTenant() Scope { return Scope{kind: scopeNoTenant} }

// AllTenants sees every record.
func AllTenants() Scope { return Scope{kind: scopeAllTenants} }

// Validate refuses a scope that is not set with [ErrNoScope] and says what to pass. It
// refuses a tenant id that no record can hold with an [InvalidQueryError].
func (s Scope) Validate() error {
	if s.kind == scopeUnset || (s.kind == scopeTenant && s.tenant == "") {
		return fmt.Errorf("%w: pass audit.Tenant(id), audit.NoTenant() or audit.AllTenants()", ErrNoScope)
	}
	var faults faultList
	faults.optionalID(fieldTenantID, s.tenant)
	return faults.queryErr()
}

// IsAllTenants reports whether the scope sees every record.
func (s Scope) IsAllTenants() bool { return s.kind == scopeAllTenants }

// TenantID returns the scope's tenant. It is empty for [NoTenant] and [AllTenants].
func (s Scope) TenantID() string { return s.tenant }

// String names the scope, as error texts do. It quotes a tenant id that does not print,
// so that no two scopes have the same name.
func (s Scope) String() string {
	switch s.kind {
	case scopeTenant:
		if strings.HasPrefix(s.tenant, `"`) || !isPrintable(s.tenant) {
			return "tenant " + strconv.Quote(s.tenant)
		}
		return "tenant " + s.tenant
	case scopeNoTenant:
		return "no tenant"
	case scopeAllTenants:
		return "all tenants"
	default:
		return "no scope"
	}
}
