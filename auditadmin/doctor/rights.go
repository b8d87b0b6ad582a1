package doctor

import (
	"context"
	"strings"
)

type securedTable struct {
	Table    string   `json:"table"`
	Forced   bool     `json:"forced"`
	Policies []string `json:"policies"`
}

const securedQuery = `
	SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.table), '[]')::text
	FROM (
		SELECT
			pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS "table",
			c.relforcerowsecurity AS forced,
			ARRAY(
				SELECT pg_catalog.quote_ident(p.polname)
				FROM pg_catalog.pg_policy AS p
				WHERE p.polrelid = c.oid
				ORDER BY 1
			) AS policies
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.oid = ANY ($1::text[]::regclass[])
			AND (c.relrowsecurity OR c.relforcerowsecurity)
	) AS x`

// checkRowSecurity explains what row-level security does to a trail. For tenants there is a
// view: migrate grants --tenant-reader.
func checkRowSecurity(ctx context.Context, x *examination) ([]Finding, error) {
	var found []securedTable
	if err := x.ask(ctx, &found, securedQuery, x.tables()); err != nil {
		return nil, err
	}
	var list []Finding
	for _, table := range found {
		policies := "no policy, so it shows nothing and accepts nothing"
		if len(table.Policies) > 0 {
			policies = "policies " + strings.Join(table.Policies, ", ")
		}
		f := Finding{
			Severity: Error, Object: "table " + table.Table,
			Evidence: "row-level security is on, with " + policies + ": COPY into it fails for every writer (0A000), a record is stored only if a policy also lets the writer read it, " +
				"and a sealer or a doctor that a policy applies to fails rather than seal a part",
			Repair: "ALTER TABLE " + table.Table + " DISABLE ROW LEVEL SECURITY; and for rows by tenant: migrate grants --tenant-reader ROLE=TENANT --apply",
		}
		if table.Forced {
			f.Evidence += "; it is forced, so it applies to the owner too"
			f.Repair = "ALTER TABLE " + table.Table + " NO FORCE ROW LEVEL SECURITY; " + f.Repair
		}
		list = append(list, f)
	}
	return list, nil
}

// checkGrants reports rights that no writer, reader or sealer needs. To the guards they are
// notices: no guard is missing. To an operator they are warnings.
func checkGrants(ctx context.Context, x *examination) ([]Finding, error) {
	list, err := x.differences(ctx, false, "privileges", "role", "schema")
	for i := range list {
		if list[i].Severity == Notice {
			list[i].Severity = Warning
		}
	}
	return list, err
}

type powers struct {
	Owner          string   `json:"owner"` // of the records, quoted; "" without a trail
	OwnerSuperuser bool     `json:"owner_superuser"`
	Superusers     []string `json:"superusers"` // besides the one of initdb, which every server has
	Replicating    []string `json:"replicating"`
	BypassRLS      []string `json:"bypass_rls"`
	CreateRole     []string `json:"create_role"`
	Server         []string `json:"server"`   // members of roles that reach the server's files and programs
	Sessions       []string `json:"sessions"` // roles with sessions here that are superusers or the owner
}

const powersQuery = `
	WITH trail AS (
		SELECT c.relowner
		FROM pg_catalog.pg_class AS c
		WHERE c.oid = $1::text::regclass
	)
	SELECT pg_catalog.jsonb_build_object(
		'owner', coalesce((SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles AS r JOIN trail ON trail.relowner = r.oid), ''),
		'owner_superuser', coalesce((SELECT r.rolsuper FROM pg_catalog.pg_roles AS r JOIN trail ON trail.relowner = r.oid), false),
		'superusers', ARRAY(SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles AS r WHERE r.rolsuper AND r.rolcanlogin AND r.oid <> 10 ORDER BY 1),
		'replicating', ARRAY(SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles AS r WHERE r.rolreplication AND r.rolcanlogin AND NOT r.rolsuper ORDER BY 1),
		'bypass_rls', ARRAY(SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles AS r WHERE r.rolbypassrls AND NOT r.rolsuper ORDER BY 1),
		'create_role', ARRAY(SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles AS r WHERE r.rolcreaterole AND NOT r.rolsuper ORDER BY 1),
		'server', ARRAY(
			SELECT pg_catalog.quote_ident(r.rolname)
			FROM pg_catalog.pg_roles AS r
			WHERE NOT r.rolsuper
				AND r.rolname !~ '^pg_'
				AND (
					pg_catalog.pg_has_role(r.oid, 'pg_write_server_files', 'MEMBER')
					OR pg_catalog.pg_has_role(r.oid, 'pg_execute_server_program', 'MEMBER')
				)
			ORDER BY 1
		),
		'sessions', ARRAY(
			SELECT DISTINCT pg_catalog.quote_ident(r.rolname)
			FROM pg_catalog.pg_stat_activity AS s
			JOIN pg_catalog.pg_roles AS r ON r.oid = s.usesysid
			WHERE s.datname = pg_catalog.current_database()
				AND s.backend_type = 'client backend'
				AND s.pid <> pg_catalog.pg_backend_pid()
				AND s.application_name NOT LIKE 'coordaudit%'
				AND (r.rolsuper OR r.oid = (SELECT trail.relowner FROM trail))
			ORDER BY 1
		)
	)::text`

// checkRoles names those whom no grant and no guard stops.
func checkRoles(ctx context.Context, x *examination) ([]Finding, error) {
	var records *string
	if x.trail != nil {
		name := x.table(recordsTable)
		records = &name
	}
	var found powers
	if err := x.ask(ctx, &found, powersQuery, records); err != nil {
		return nil, err
	}
	var list []Finding
	name := func(severity Severity, roles []string, evidence, repair string) {
		if len(roles) > 0 {
			list = append(list, Finding{Severity: severity, Object: "roles " + strings.Join(roles, ", "), Evidence: evidence, Repair: repair})
		}
	}
	if found.OwnerSuperuser {
		name(Warning, []string{found.Owner}, "a superuser owns the trail: migrating needs no such rights", "CREATE ROLE coordaudit_owner; then ALTER TABLE … OWNER TO coordaudit_owner for each table of the trail")
	}
	name(Warning, found.Sessions, "superusers or the owner of the trail, with sessions in this database: no guard stops them", "let services log in as roles of their own: migrate grants --writer ROLE --apply")
	name(Notice, found.Superusers, "superusers that may log in: they can switch every guard off", "ALTER ROLE … NOLOGIN for those that no one uses, and seal the trail, which shows what they change")
	name(Notice, found.Replicating, "may replicate: they read the whole server, and every record of every tenant", "ALTER ROLE … NOREPLICATION for those that no standby uses")
	name(Notice, found.BypassRLS, "row-level security does not bind them", "ALTER ROLE … NOBYPASSRLS for those that do not need it")
	name(Notice, found.Server, "may write files or run programs on the server, and so make themselves superusers", "REVOKE pg_write_server_files, pg_execute_server_program FROM ROLE;")
	if x.server.Version < 160_000 { // later, CREATEROLE reaches only roles with the ADMIN option
		name(Notice, found.CreateRole, "have CREATEROLE, and may make themselves members of the owner of the trail", "ALTER ROLE … NOCREATEROLE for those that do not need it")
	}
	if !x.server.Monitor {
		list = append(list, x.needsMonitor("the sessions of superusers"))
	}
	return list, nil
}
