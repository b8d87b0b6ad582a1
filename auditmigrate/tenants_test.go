package auditmigrate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const tenantView = auditmigrate.TenantView

// newTenants returns a migrated trail with three records of acme, two of globex and one of no
// tenant, and its owner's migrator.
func newTenants(t *testing.T) (*testdb.DB, *auditmigrate.Migrator) {
	t.Helper()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	execute(t, db.Pool, `
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		SELECT gen_random_uuid(), 'envelope of ' || coalesce(tenant, 'none'), 'COST', 'APPLIED', 'secret of ' || coalesce(tenant, 'none'), now(), tenant
		FROM unnest('{acme,acme,acme,globex,globex,NULL}'::text[]) AS tenant;
		ANALYZE`)
	return db, migrator
}

// login returns a connection that is authenticated as the role, so that RESET leads nowhere else.
// It collects notices.
func login(t *testing.T, db *testdb.DB, role string) (*pgx.Conn, *[]string) {
	t.Helper()
	execute(t, db.Pool, "ALTER ROLE "+role+" LOGIN PASSWORD 'of the test'")
	config := db.Pool.Config().ConnConfig.Copy()
	config.User, config.Password = role, "of the test"
	var notices []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message) }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn, &notices
}

func tenant(role, id string) auditmigrate.TenantReader {
	return auditmigrate.TenantReader{Role: role, Tenant: id}
}

func noTenant(role string) auditmigrate.TenantReader {
	return auditmigrate.TenantReader{Role: role, NoTenant: true}
}

// seen lists what a query on the view shows, in order.
func seen(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT reason FROM "+tenantView+" ORDER BY reason")
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTenantReadersSeeTheirTenants(t *testing.T) {
	t.Parallel()
	db, migrator := newTenants(t)
	acme, both, none, group, member, loose := newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db)
	execute(t, db.Pool, "ALTER ROLE "+loose+" NOINHERIT; GRANT "+group+", "+acme+" TO "+member+"; GRANT "+group+" TO "+loose)
	config := auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{
		tenant(acme, "acme"), tenant(both, "acme"), tenant(both, "globex"), noTenant(both), noTenant(none), tenant(group, "globex"), tenant(group, `it's \ none`),
	}}
	planned, err := migrator.PlanGrants(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if applied := mustApply(t, migrator, config); len(applied.Statements) == 0 || !cmp.Equal(planned, applied) {
		t.Errorf("applied is not what was planned (-planned +applied):\n%s", cmp.Diff(planned, applied))
	}
	if again := mustApply(t, migrator, config); len(again.Statements) > 0 {
		t.Errorf("the second time: %v, want nothing to do", again.Statements)
	}
	of := func(tenants ...string) []string {
		var list []string
		for _, tenant := range tenants {
			list = append(list, slices.Repeat([]string{"secret of " + tenant}, map[string]int{"acme": 3, "globex": 2, "none": 1}[tenant])...)
		}
		return list
	}
	for role, want := range map[string][]string{
		acme: of("acme"), both: of("acme", "globex", "none"), none: of("none"), group: of("globex"),
		member: of("acme", "globex"), // it has the rights of both
	} {
		conn, _ := login(t, db, role)
		if diff := cmp.Diff(want, seen(t, conn)); diff != "" {
			t.Errorf("seen by a role (-want +got):\n%s", diff)
		}
	}
	conn, _ := login(t, db, loose)
	mustBeForbidden(t, conn, "member that inherits nothing", "SELECT FROM "+tenantView)
	if _, err := conn.Exec(t.Context(), "SET ROLE "+group); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(of("globex"), seen(t, conn)); diff != "" {
		t.Errorf("seen after SET ROLE (-want +got):\n%s", diff)
	}

	// Naming a role again gives it exactly what it is named with.
	mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(both, "globex")}, Readers: []string{none}})
	conn, _ = login(t, db, both)
	if diff := cmp.Diff(of("globex"), seen(t, conn)); diff != "" {
		t.Errorf("seen by a role with fewer tenants (-want +got):\n%s", diff)
	}
	conn, _ = login(t, db, none)
	mustBeForbidden(t, conn, "reader", "SELECT FROM "+tenantView)
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*)::int FROM "+auditmigrate.TenantMap+" WHERE role_name = '"+none+"'"); n != 0 {
		t.Error("a reader of everything is still a tenant reader")
	}
}

// attempts are ways to read another tenant's record. $other is that tenant's reader, $view the view.
func attempts() map[string]string {
	leak := `CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';`
	operator := `CREATE FUNCTION pg_temp.less(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE NOTICE ''% %'', $1, $2; RETURN true; END';
		CREATE OPERATOR pg_temp.<<< (PROCEDURE = pg_temp.less, LEFTARG = text, RIGHTARG = text, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);`
	list := map[string]string{
		"a cheap function":                 leak + "SELECT reason FROM $view WHERE pg_temp.leak(reason)",
		"a function on the whole row":      leak + "SELECT reason FROM $view AS v WHERE pg_temp.leak(v::text)",
		"a function in an outer join":      leak + "SELECT 1 FROM (VALUES (1)) AS x LEFT JOIN $view AS v ON pg_temp.leak(v.reason)",
		"a function in LATERAL":            leak + "SELECT l.* FROM $view AS v CROSS JOIN LATERAL (SELECT pg_temp.leak(v.reason)) AS l",
		"a function in a subquery":         leak + "SELECT 1 WHERE EXISTS (SELECT 1 FROM $view AS v WHERE pg_temp.leak(v.reason) AND false)",
		"a function in an aggregate":       leak + "SELECT count(*) FILTER (WHERE pg_temp.leak(reason)) FROM $view",
		"a function in ORDER BY":           leak + "SELECT reason FROM $view ORDER BY pg_temp.leak(reason)",
		"an operator for the planner":      operator + "EXPLAIN SELECT reason FROM $view WHERE reason OPERATOR(pg_temp.<<<) 'zzz'",
		"an operator on the tenant":        operator + "EXPLAIN ANALYZE SELECT reason FROM $view WHERE tenant_id OPERATOR(pg_temp.<<<) 'zzz'",
		"an operator in a join":            operator + "EXPLAIN SELECT 1 FROM $view AS a JOIN $view AS b ON a.reason OPERATOR(pg_temp.<<<) b.reason",
		"a prepared statement":             leak + "PREPARE mine AS SELECT reason FROM $view WHERE pg_temp.leak(reason); EXECUTE mine; SET plan_cache_mode = force_generic_plan; EXECUTE mine",
		"a cursor":                         leak + "BEGIN; DECLARE mine CURSOR FOR SELECT reason FROM $view WHERE pg_temp.leak(reason); FETCH ALL FROM mine; COMMIT",
		"a temporary view on it":           leak + "CREATE TEMP VIEW mine AS SELECT * FROM $view WHERE pg_temp.leak(reason); SELECT * FROM mine",
		"a temporary table for a catalog":  "CREATE TEMP TABLE pg_roles AS SELECT oid, '$other'::name AS rolname FROM pg_catalog.pg_roles WHERE rolname = current_user; SET search_path = pg_temp, public; SELECT reason FROM $view",
		"a temporary function of its name": "CREATE FUNCTION pg_temp.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; SET search_path = pg_temp, public, pg_catalog; SELECT reason FROM $view",
		"a temporary table for the map":    "CREATE TEMP TABLE coordination_audit_tenant_readers AS SELECT current_user AS role_name, 'globex'::varchar(100) AS tenant_id; SET search_path = pg_temp, public; SELECT reason FROM $view",
		"division by zero":                 "SELECT 1 / (CASE WHEN reason LIKE '%globex%' THEN 0 ELSE 1 END) FROM $view",
		"division by zero in a predicate":  "SELECT 1 FROM $view WHERE 1 / (CASE WHEN tenant_id = 'acme' THEN 1 ELSE 0 END) = 1",
		"a cast":                           "SELECT 1 FROM $view WHERE (CASE WHEN reason LIKE '%acme' THEN '1' ELSE reason END)::int = 1",
		"a pattern":                        "SELECT reason FROM $view WHERE reason ~ 'globex' OR reason LIKE '%none'",
		"a condition that is always true":  "SELECT reason FROM $view WHERE tenant_id = 'globex' OR true",
		"set operations":                   "SELECT reason FROM $view UNION ALL SELECT reason FROM $view WHERE tenant_id IS NULL",
		"EXPLAIN ANALYZE":                  "EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT * FROM $view WHERE reason = 'secret of globex'",
		"its statistics":                   "SELECT * FROM pg_catalog.pg_stats WHERE tablename ~ '^coordination'",
		"extended statistics":              "SELECT * FROM pg_catalog.pg_stats_ext",
		"COPY of a query":                  "COPY (SELECT * FROM $view) TO STDOUT",
		"the definition":                   "SELECT pg_catalog.pg_get_viewdef('$view'::regclass)",
		"the activity of others":           "SELECT query FROM pg_catalog.pg_stat_activity",
		"row_security":                     "SET row_security = off; SELECT reason FROM $view",
		"a local setting of the role":      "BEGIN; SET LOCAL ROLE NONE; SELECT reason FROM $view; COMMIT",
		"another authorization":            "RESET SESSION AUTHORIZATION; RESET ROLE; SELECT reason FROM $view",
	}
	for _, off := range []string{"enable_seqscan", "enable_indexscan, enable_bitmapscan, enable_indexonlyscan", "enable_hashjoin, enable_mergejoin", "enable_nestloop", "enable_material"} {
		set := "SET " + strings.ReplaceAll(off, ", ", " = off; SET ") + " = off; "
		list["a function without "+off] = leak + set + "SELECT reason FROM $view WHERE pg_temp.leak(reason)"
	}
	list["a function in parallel"] = leak + "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2; SELECT reason FROM $view WHERE pg_temp.leak(reason)"
	return list
}

func TestTenantReaderGetsNoOtherTenantsText(t *testing.T) {
	t.Parallel()
	db, migrator := newTenants(t)
	mine, other := newRole(t, db), newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(mine, "acme"), tenant(other, "globex")}})
	execute(t, db.Pool, "ANALYZE")
	for name, sql := range attempts() {
		shown := attempt(t, db, mine, name, strings.NewReplacer("$view", "public."+tenantView, "$other", other).Replace(sql))
		if strings.Contains(shown, "of globex") || strings.Contains(shown, "of none") {
			t.Errorf("%s shows another tenant's text:\n%s", name, shown)
		}
		if strings.Contains(sql, "SELECT reason FROM $view WHERE pg_temp.leak") && !strings.Contains(shown, "secret of acme") {
			t.Errorf("%s shows nothing at all, so it proves nothing", name)
		}
	}

	// The same function sees all of them where there is no barrier.
	execute(t, db.Pool, "ALTER VIEW "+tenantView+" SET (security_barrier = false)")
	if shown := attempt(t, db, mine, "no barrier", strings.ReplaceAll(attempts()["a cheap function"], "$view", tenantView)); !strings.Contains(shown, "secret of globex") {
		t.Errorf("without a barrier nothing is shown, so these attempts prove nothing: %s", shown)
	}
}

// attempt returns everything that a role is shown by SQL: rows, notices and errors.
func attempt(t *testing.T, db *testdb.DB, role, name, sql string) string {
	t.Helper()
	conn, notices := login(t, db, role)
	defer func() { _ = conn.Close(context.Background()) }()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	var text strings.Builder
	for _, result := range results {
		for _, row := range result.Rows {
			fmt.Fprintf(&text, "%s\n", row)
		}
	}
	text.WriteString(strings.Join(*notices, "\n"))
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		fmt.Fprint(&text, pgErr.Message, pgErr.Detail, pgErr.Hint, pgErr.Where, pgErr.InternalQuery)
		if pgErr.Code == "22012" || pgErr.Code == "22P02" {
			t.Errorf("%s: it failed on a row of another tenant: %v", name, err)
		}
	}
	return strings.ReplaceAll(text.String(), "'secret of globex'", "") // EXPLAIN repeats the query
}

func TestTenantReaderMayDoNothingElse(t *testing.T) {
	t.Parallel()
	db, migrator := newTenants(t)
	mine, other := newRole(t, db), newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(mine, "acme"), tenant(other, "globex")}})
	conn, _ := login(t, db, mine)
	forbidden := []string{
		"SET ROLE " + other, "SET SESSION AUTHORIZATION " + other, "GRANT " + other + " TO " + mine,
		"SELECT FROM " + auditmigrate.TenantMap, "INSERT INTO " + auditmigrate.TenantMap + " VALUES (current_user, 'globex')", "UPDATE " + auditmigrate.TenantMap + " SET tenant_id = 'globex'",
		"DELETE FROM " + auditmigrate.TenantMap, "TRUNCATE " + auditmigrate.TenantMap,
		"ALTER VIEW " + tenantView + " SET (security_barrier = false)", "DROP VIEW " + tenantView, "CREATE OR REPLACE VIEW " + tenantView + " AS SELECT 1",
		"CREATE TRIGGER mine INSTEAD OF UPDATE ON " + tenantView + " FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change()",
		"CREATE RULE mine AS ON INSERT TO " + tenantView + " DO INSTEAD NOTHING",
		"DO $$ BEGIN LOCK TABLE " + tenantView + " IN ACCESS EXCLUSIVE MODE; END $$", "SELECT FROM pg_catalog.pg_statistic", "SELECT pg_read_file('PG_VERSION')", "COPY (SELECT 1) TO PROGRAM 'true'",
		"CREATE TABLE mine (id uuid REFERENCES coordination_audit_records)",
	}
	for _, table := range []string{
		"coordination_audit_records", "coordination_audit_gaps", "coordination_audit_statements",
		"coordination_audit_seal_tiles", "coordination_audit_seal_checkpoints", "coordination_audit_seal_events", "coordination_audit_records_seq_seq", "coordaudit_schema_version",
	} {
		forbidden = append(forbidden, "SELECT FROM "+table)
	}
	mustBeForbidden(t, conn, "tenant reader", forbidden...)

	// Through the view nothing is written, even if someone grants it.
	execute(t, db.Pool, "GRANT INSERT, UPDATE, DELETE ON "+tenantView+" TO "+mine)
	for _, sql := range []string{
		"INSERT INTO " + tenantView + " (audit_id) VALUES (gen_random_uuid())", "UPDATE " + tenantView + " SET reason = 'another'", "DELETE FROM " + tenantView, "COPY " + tenantView + " FROM STDIN",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was done", sql)
		}
	}
	if grants := mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(mine, "acme")}}); len(grants.Statements) != 1 || !strings.HasPrefix(grants.Statements[0], "REVOKE") {
		t.Errorf("the excess rights were not revoked: %v", grants.Statements)
	}
}

func TestRolesThatReadPastTheViewAreRefused(t *testing.T) {
	t.Parallel()
	db, migrator := newTenants(t)
	owner := fixture.QueryText(t, db.Pool, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'coordination_audit_records'")
	reader := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{Readers: []string{reader}})
	before := texts(t, db.Pool, grantsOf, "")
	for sql, want := range map[string]string{
		"ALTER ROLE $role SUPERUSER":                                    "superuser",
		"GRANT " + owner + " TO $role":                                  "member of that owner",
		"GRANT " + reader + " TO $role":                                 "is a member of \"" + reader + "\", which may read the trail itself",
		"GRANT pg_read_all_data TO $role":                               "pg_read_all_data",
		"GRANT pg_execute_server_program TO $role":                      "pg_execute_server_program",
		"ALTER ROLE $role REPLICATION":                                  "may replicate",
		"GRANT SELECT ON coordination_audit_gaps TO PUBLIC":             "REVOKE SELECT",
		"GRANT SELECT (reason) ON coordination_audit_records TO PUBLIC": "REVOKE SELECT",
	} {
		role := newRole(t, db)
		execute(t, db.Pool, strings.ReplaceAll(sql, "$role", role))
		_, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(role, "acme")}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v, want a refusal with %q", sql, err, want)
		}
		execute(t, db.Pool, strings.ReplaceAll("ALTER ROLE $role NOSUPERUSER NOREPLICATION; REVOKE SELECT ON coordination_audit_gaps FROM PUBLIC; REVOKE SELECT (reason) ON coordination_audit_records FROM PUBLIC", "$role", role))
	}
	role := newRole(t, db)
	for want, config := range map[string]auditmigrate.GrantConfig{
		"a writer, reader or sealer too": {Readers: []string{role}, TenantReaders: []auditmigrate.TenantReader{tenant(role, "acme")}},
		// An expirer, an eraser and a holder read what readers read.
		"or as one who expires, erases":  {Holders: []string{role}, TenantReaders: []auditmigrate.TenantReader{tenant(role, "acme")}},
		"no tenant is given":             {TenantReaders: []auditmigrate.TenantReader{{Role: role}}},
		"both a tenant and none":         {TenantReaders: []auditmigrate.TenantReader{{Role: role, Tenant: "acme", NoTenant: true}}},
		"has no role":                    {TenantReaders: []auditmigrate.TenantReader{{Tenant: "acme"}}},
		"no record can have that tenant": {TenantReaders: []auditmigrate.TenantReader{tenant(role, strings.Repeat("ü", 101))}},
		"unknown role":                   {TenantReaders: []auditmigrate.TenantReader{tenant("no_such_role", "acme")}},
	} {
		if _, err := migrator.ApplyGrants(t.Context(), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a refusal with %q", err, want)
		}
	}
	if diff := cmp.Diff(before, texts(t, db.Pool, grantsOf, "")); diff != "" {
		t.Errorf("a refusal has changed rights (-before +after):\n%s", diff)
	}
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*)::int FROM pg_class WHERE relname IN ('"+tenantView+"', '"+auditmigrate.TenantMap+"')"); n != 0 {
		t.Error("a refusal has made the view")
	}
}

// The rights that default privileges give on what is new are taken away in the same run, and rights
// on the trail that the role had before.
func TestTenantReaderKeepsNoOtherRight(t *testing.T) {
	t.Parallel()
	db, migrator := newTenants(t)
	owner := fixture.QueryText(t, db.Pool, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'coordination_audit_records'")
	role, another := newRole(t, db), newRole(t, db)
	execute(t, db.Pool, `
		ALTER DEFAULT PRIVILEGES FOR ROLE `+owner+` GRANT ALL ON TABLES TO `+role+`, `+another+`;
		GRANT SELECT ON coordination_audit_records, coordination_audit_seal_events TO `+role+`;
		GRANT SELECT (cause) ON coordination_audit_gaps TO `+role)
	t.Cleanup(func() {
		_, _ = db.Pool.Exec(context.Background(), "ALTER DEFAULT PRIVILEGES FOR ROLE "+owner+" REVOKE ALL ON TABLES FROM "+role+", "+another)
	})
	mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(role, "acme")}})
	for _, right := range texts(t, db.Pool, grantsOf, "") {
		if strings.HasPrefix(right, role) && right != role+" "+tenantView+"  SELECT" || strings.Contains(right, auditmigrate.TenantMap) {
			t.Errorf("a right is left: %s", right)
		}
	}
}

func TestTrailWithTenantReadersIsAsItShouldBe(t *testing.T) {
	t.Parallel()
	db, migrator := newTenants(t)
	role := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(role, "acme"), noTenant(role)}})
	conn, err := migrator.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	found, err := auditadmin.Check(t.Context(), conn)
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	// Migrations after it, and writers, go on as before.
	if _, err := migrator.Redo(t.Context()); err != nil {
		t.Error(err)
	}
	execute(t, db.Pool, insertRecord)
}

// The reader's window and the reader's key both reach an index, at any size of the trail.
func TestTenantViewUsesIndexes(t *testing.T) {
	t.Parallel()
	size := fixture.Size(t, "COORDAUDIT_TENANT_RECORDS", 100_000)
	db, migrator := newTenants(t)
	role := newRole(t, db)
	mustApply(t, migrator, auditmigrate.GrantConfig{TenantReaders: []auditmigrate.TenantReader{tenant(role, "tenant 7"), tenant(role, "acme")}})
	execute(t, db.Pool, fmt.Sprintf(`
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		SELECT gen_random_uuid(), 'envelope ' || n / 20, 'COST', 'APPLIED', 'a reason', now() - n * interval '1 s', 'tenant ' || n %% 100
		FROM generate_series(1, %d) AS n;
		ANALYZE`, size))
	conn, _ := login(t, db, role)
	for query, index := range map[string]string{
		"SELECT count(*) FROM $view": "coordination_audit_scope_time_idx",
		"SELECT * FROM $view WHERE decision_timestamp >= now() - interval '1 hour' ORDER BY decision_timestamp DESC LIMIT 50":    "coordination_audit_scope_time_idx",
		"SELECT * FROM $view WHERE envelope_id = 'envelope 12'":                                                                  "coordination_audit_envelope_scope_time_idx",
		"SELECT * FROM $view WHERE audit_id = '00000000-0000-0000-0000-000000000001'":                                            "coordination_audit_records_pkey",
		"SELECT decision, count(*) FROM $view WHERE decision_timestamp >= now() - interval '10 min' AND reason ~ 'a' GROUP BY 1": "coordination_audit_scope_time_idx",
	} {
		rows, err := conn.Query(t.Context(), "EXPLAIN "+strings.ReplaceAll(query, "$view", tenantView))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan on coordination_audit_records") {
			t.Errorf("%s does not use %s:\n%s", query, index, plan)
		}
	}
	if n := len(seen(t, conn)); n != size/100+3 {
		t.Errorf("%d records seen, want %d", n, size/100+3)
	}
}
