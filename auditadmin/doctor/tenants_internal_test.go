package doctor

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestTenantReadersOfOldServersAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	role := newRole(t, db)
	old := func(x *examination) { x.server.Version = 150_013 }
	examine(t, db.Pool, old).mustBeQuiet(t, "tenant_readers") // there are none
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{})
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{{Role: role, Tenant: "acme"}}}); err != nil {
		t.Fatal(err)
	}
	examine(t, db.Pool, func(x *examination) { x.server.Version = 150_014 }).mustBeQuiet(t, "tenant_readers")
	examine(t, db.Pool, old).mustFind(t, "tenant_readers", Warning, "CVE-2025-8713", "15.14")
	fixture.MustExec(t, db.Pool, "INSERT INTO "+auditmigrate.TenantMap+" VALUES ('no such role', 'globex')")
	examine(t, db.Pool, nil).mustFind(t, "tenant_readers", Warning, `"no such role"`, "DELETE FROM public."+auditmigrate.TenantMap)

	fixture.MustExec(t, db.Pool, "ALTER VIEW "+auditmigrate.TenantView+" SET (security_barrier = false); GRANT SELECT ON coordination_audit_records TO "+role)
	x := examine(t, db.Pool, nil)
	x.mustFind(t, "guards", Error, "view public."+auditmigrate.TenantView, "of every tenant", "security_barrier = true")
	x.mustFind(t, "grants", Error, role, "sees every tenant", "REVOKE ALL")
}
