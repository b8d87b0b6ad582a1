package auditadmin_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

func TestDamagedTenantViewIsFound(t *testing.T) {
	t.Parallel()
	const view, readers = "public.coordination_audit_tenant_records", "public.coordination_audit_tenant_readers"
	for name, test := range map[string]struct{ sql, object, got, repair string }{
		"NoBarrier":    {"ALTER VIEW coordination_audit_tenant_records SET (security_barrier = false)", "view " + view, "of every tenant", "SET (security_barrier = true)"},
		"Reset":        {"ALTER VIEW coordination_audit_tenant_records RESET (security_barrier)", "view " + view, "of every tenant", "SET (security_barrier = true)"},
		"Invoker":      {"ALTER VIEW coordination_audit_tenant_records SET (security_invoker = true)", "view " + view, "security_invoker", "RESET (security_invoker)"},
		"AnotherQuery": {"DROP VIEW coordination_audit_tenant_records; CREATE VIEW coordination_audit_tenant_records WITH (security_barrier) AS SELECT * FROM coordination_audit_records", "view " + view, "another one", "migrate grants"},
		"NoView":       {"DROP VIEW coordination_audit_tenant_records", "view " + view, "missing", "migrate grants"},
		"ATable":       {"DROP VIEW coordination_audit_tenant_records; CREATE TABLE coordination_audit_tenant_records (n int)", "view " + view, "kind r", "rename it"},
		"NoMap":        {"DROP TABLE coordination_audit_tenant_readers CASCADE; CREATE VIEW coordination_audit_tenant_records AS SELECT 1", "table " + readers, "missing", "DROP VIEW"},
		"Owner":        {"ALTER VIEW coordination_audit_tenant_records OWNER TO $role", "view " + view, "owner $role", "OWNER TO"},
		"MapOwner":     {"ALTER TABLE coordination_audit_tenant_readers OWNER TO $role", "table " + readers, "owner $role", "OWNER TO"},
		"MapReadable":  {"GRANT SELECT ON coordination_audit_tenant_readers TO $role", "privileges of $role on table " + readers, "SELECT", "REVOKE ALL"},
		"MapWritable":  {"GRANT INSERT (role_name, tenant_id) ON coordination_audit_tenant_readers TO PUBLIC", "privileges of PUBLIC on table " + readers, "INSERT (role_name)", "REVOKE ALL"},
		"ViewWritable": {"GRANT INSERT ON coordination_audit_tenant_records TO $role", "privileges of $role on view " + view, "INSERT", "REVOKE INSERT"},
		"ReadsBoth":    {"GRANT SELECT ON coordination_audit_records, coordination_audit_tenant_records TO $role", "privileges of $role on view " + view, "sees every tenant", "REVOKE ALL"},
		"Rule":         {"CREATE RULE mine AS ON INSERT TO coordination_audit_tenant_records DO INSTEAD NOTHING", "rule mine on " + view, "ON INSERT", "DROP RULE"},
		"Trigger": {
			"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER mine INSTEAD OF INSERT ON coordination_audit_tenant_records FOR EACH ROW EXECUTE FUNCTION f()",
			"trigger mine on " + view, "it writes", "DROP TRIGGER",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			role, reader := newRole(t, db), newRole(t, db)
			connConfig := db.Pool.Config().ConnConfig.Copy()
			connConfig.RuntimeParams["role"] = owner
			migrator := auditmigrate.New(connConfig, auditmigrate.Config{})
			if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{{Role: reader, Tenant: "acme"}}}); err != nil {
				t.Fatal(err)
			}
			conn := connect(t, db, owner)
			if found := check(t, conn); len(found) > 0 {
				t.Fatalf("before: %v", found)
			}
			if name == "Invoker" && serverVersion(t, conn) < 150_000 {
				t.Skip("PostgreSQL 14 has no security_invoker")
			}
			replace := strings.NewReplacer("$role", role).Replace
			execute(t, db, replace(test.sql))
			found := check(t, conn)
			d := find(found, replace(test.object), auditadmin.Error)
			if d == nil || !strings.Contains(d.Got, replace(test.got)) || !strings.Contains(d.Repair, test.repair) {
				t.Errorf("want an error about %s: %v", replace(test.object), found)
			}
		})
	}
}

func serverVersion(t *testing.T, conn *pgx.Conn) (version int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}
