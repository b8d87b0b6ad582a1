package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// Taken is a name that the migrations give to an index or a constraint of a table, and
// that something else has.
type Taken struct {
	Name string `json:"name"`

	// Kind is pg_class.relkind, or "constraint".
	Kind string `json:"kind"`

	// Of is the table of the index or constraint, with its schema.
	Of string `json:"of,omitempty"`

	// Type is pg_constraint.contype.
	Type string `json:"type,omitempty"`
}

// ReadTaken lists the relations of these names in a schema, and the constraints of these
// names on the tables. Names of relations are unique in a schema, names of constraints on
// a table.
func ReadTaken(ctx context.Context, tx pgx.Tx, schema string, tables, names []string) ([]Taken, error) {
	var taken []Taken
	return taken, Query(ctx, tx, "reading the catalogs", &taken, `
		SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.kind, x.of, x.name), '[]')::text
		FROM (
			SELECT
				c.relname AS name,
				c.relkind::text AS kind,
				(
					SELECT pg_catalog.quote_ident(v.nspname) || '.' || pg_catalog.quote_ident(t.relname)
					FROM pg_catalog.pg_index AS i
					JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
					JOIN pg_catalog.pg_namespace AS v ON v.oid = t.relnamespace
					WHERE i.indexrelid = c.oid
				) AS of,
				NULL AS type
			FROM pg_catalog.pg_class AS c
			JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname = $1::text AND c.relname = ANY ($3::text[])
			UNION ALL
			SELECT
				k.conname,
				'constraint',
				pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.relname),
				k.contype::text
			FROM pg_catalog.pg_constraint AS k
			JOIN pg_catalog.pg_class AS t ON t.oid = k.conrelid
			JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
			WHERE n.nspname = $1::text AND t.relname = ANY ($2::text[]) AND k.conname = ANY ($3::text[])
		) AS x`, schema, tables, names)
}

// ReadMembers lists the roles that are members of the owner of a table, of the role of the
// retention, or of a role of PostgreSQL that may write to every table. The role of the retention is listed itself if it may log in.
// Superusers are left out: no grant binds them.
func ReadMembers(ctx context.Context, tx pgx.Tx, schema, table string) ([]Member, error) {
	var members []Member
	return members, Query(ctx, tx, "reading the catalogs", &members, `
		SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.of, x.role), '[]')::text
		FROM (
			SELECT
				pg_catalog.quote_ident(r.rolname) AS role,
				pg_catalog.quote_ident(o.rolname) AS of,
				EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m WHERE m.roleid = o.oid AND m.member = r.oid) AS direct
			FROM pg_catalog.pg_roles AS o
			JOIN pg_catalog.pg_roles AS r ON NOT r.rolsuper AND r.rolname !~ '^pg_' AND pg_catalog.pg_has_role(r.oid, o.oid, 'MEMBER')
				AND (r.oid <> o.oid OR o.rolname = '`+auditmigrate.RetentionRole+`' AND o.rolcanlogin)
			WHERE NOT o.rolsuper
				AND (
					o.rolname IN ('pg_write_all_data', 'pg_maintain')
					OR o.rolname = '`+auditmigrate.RetentionRole+`' AND EXISTS (
						SELECT
						FROM pg_catalog.pg_class AS c
						JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
						WHERE n.nspname = $1::text AND c.relname = $2::text AND pg_catalog.has_table_privilege(o.oid, c.oid, 'DELETE')
					)
					OR o.oid = (
						SELECT c.relowner
						FROM pg_catalog.pg_class AS c
						JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
						WHERE n.nspname = $1::text AND c.relname = $2::text
					)
				)
		) AS x`, schema, table)
}

// Scope says who owns the schema of the trail, and who else may create objects there.
type Scope struct {
	Owner    Role     `json:"owner"`
	Database bool     `json:"database"` // it owns the schema as the owner of the database
	Creators []string `json:"creators"` // quoted, or PUBLIC
}

// ReadScope leaves out of the creators superusers, the owner of a table, and its members, whom
// [ReadMembers] lists. From version 15 on, a new database's schema public belongs to
// pg_database_owner, which is whoever owns the database.
func ReadScope(ctx context.Context, tx pgx.Tx, schema, table string) (Scope, error) {
	var scope Scope
	return scope, Query(ctx, tx, "reading the catalogs", &scope, `
		SELECT pg_catalog.jsonb_build_object(
			'owner', pg_catalog.jsonb_build_object('name', pg_catalog.quote_ident(o.rolname), 'superuser', o.rolsuper),
			'database', o.oid <> n.nspowner,
			'creators', ARRAY(
				SELECT coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC')
				FROM pg_catalog.aclexplode(n.nspacl) AS a
				LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
				WHERE a.privilege_type = 'CREATE'
					AND a.grantee NOT IN (n.nspowner, o.oid)
					AND NOT coalesce(r.rolsuper OR pg_catalog.pg_has_role(r.oid, (
						SELECT c.relowner
						FROM pg_catalog.pg_class AS c
						WHERE c.relnamespace = n.oid AND c.relname = $2::text
					), 'MEMBER'), false)
				GROUP BY 1
				ORDER BY 1
			)
		)::text
		FROM pg_catalog.pg_namespace AS n
		JOIN pg_catalog.pg_roles AS s ON s.oid = n.nspowner
		JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
		JOIN pg_catalog.pg_roles AS o ON o.oid = CASE WHEN s.rolname = 'pg_database_owner' THEN d.datdba ELSE s.oid END
		WHERE n.nspname = $1::text`, schema, table)
}

// TenantView is the view of tenant readers. See [auditmigrate.TenantView].
type TenantView struct {
	Barrier    bool   `json:"barrier"`
	Invoker    bool   `json:"invoker"`
	Definition string `json:"definition"`
}

// ReadTenantView returns nil if there is no view of that name.
func ReadTenantView(ctx context.Context, tx pgx.Tx, schema string) (*TenantView, error) {
	var view *TenantView
	return view, Query(ctx, tx, "reading the catalogs", &view, `
		SELECT coalesce((
			SELECT pg_catalog.jsonb_build_object(
				'barrier', EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'security_barrier' AND o.option_value::boolean),
				'invoker', EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean),
				'definition', pg_catalog.pg_get_viewdef(c.oid)
			)
			FROM pg_catalog.pg_class AS c
			JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname = $1::text AND c.relname = $2::text AND c.relkind = 'v'
		), 'null')::text`, schema, auditmigrate.TenantView)
}
