package auditmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// readRoles refuses all roles that do not exist, before anything else.
func (p *plan) readRoles(ctx context.Context, tx *sql.Tx, roles []string) error {
	var unknown []string
	for _, role := range roles {
		var facts roleFacts
		err := tx.QueryRowContext(ctx, `
			SELECT
				r.rolsuper,
				pg_catalog.pg_has_role(r.oid, t.relowner, 'MEMBER'),
				pg_catalog.pg_has_role(r.oid, n.nspowner, 'MEMBER'),
				EXISTS (
					SELECT 1 FROM pg_catalog.aclexplode(n.nspacl) AS x
					WHERE x.grantee = r.oid AND x.privilege_type = 'CREATE' AND x.grantee <> n.nspowner
				),
				pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE'),
				pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT'),
				coalesce((SELECT pg_catalog.pg_has_role(r.oid, w.oid, 'MEMBER') FROM pg_catalog.pg_roles AS w WHERE w.rolname = 'pg_write_all_data'), false),
				CASE
					WHEN r.rolreplication THEN 'may replicate the whole server'
					WHEN r.rolcreaterole AND pg_catalog.current_setting('server_version_num')::int < 160000 THEN 'has CREATEROLE, and may make itself a member of any role'
					ELSE coalesce((
						SELECT 'is a member of ' || pg_catalog.string_agg(w.rolname::text, ', ' ORDER BY w.rolname::text)
						FROM pg_catalog.pg_roles AS w
						WHERE w.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_maintain')
							AND pg_catalog.pg_has_role(r.oid, w.oid, 'MEMBER')
					), '')
				END
			FROM pg_catalog.pg_roles AS r
			JOIN pg_catalog.pg_namespace AS n ON n.nspname = $2
			JOIN pg_catalog.pg_class AS t ON t.relnamespace = n.oid AND t.relname = $3
			WHERE r.rolname = $1`, role, p.acl.at.schema, recordsTable).Scan(
			&facts.superuser, &facts.ownsTables, &facts.ownsScope, &facts.create, &facts.usage, &facts.connect, &facts.writesAll, &facts.powerful)
		if errors.Is(err, sql.ErrNoRows) {
			unknown = append(unknown, fmt.Sprintf("%q", role))
			continue
		}
		if err != nil {
			return fmt.Errorf("reading about role %q: %w", role, err)
		}
		p.roles[role] = facts
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%w %s, nothing was changed: create it (CREATE ROLE), or correct the name, which is case-sensitive",
			ErrUnknownRole, strings.Join(unknown, ", "))
	}
	return nil
}

func (p *plan) readSchema(ctx context.Context, tx *sql.Tx) error {
	t := &p.trail
	err := tx.QueryRowContext(ctx, `
		SELECT
			n.nspname::text,
			pg_catalog.pg_get_userbyid(n.nspowner)::text,
			pg_catalog.current_database()::text,
			pg_catalog.pg_has_role(n.nspowner, 'USAGE'),
			EXISTS (
				SELECT 1 FROM pg_catalog.aclexplode(n.nspacl) AS x
				WHERE x.grantee = 0 AND x.privilege_type = 'CREATE'
			)
		FROM pg_catalog.pg_namespace AS n
		WHERE n.nspname = $1`, p.acl.at.schema).Scan(&t.schema, &t.owner, &t.database, &t.mayGrant, &t.publicCreate)
	if err != nil {
		return fmt.Errorf("reading about schema %q: %w", p.acl.at.schema, err)
	}
	return nil
}

// readMembers returns which named role is a member of which role that holds a right,
// and may act as it.
func (p *plan) readMembers(ctx context.Context, tx *sql.Tx, named []string) ([][2]string, error) {
	var pairs [][2]string
	for _, role := range named {
		for _, other := range p.acl.roles() {
			if other == role {
				continue
			}
			var member bool
			if err := tx.QueryRowContext(ctx, "SELECT pg_catalog.pg_has_role($1::name, $2::name, 'MEMBER')", role, other).Scan(&member); err != nil {
				return nil, fmt.Errorf("reading about role %q: %w", role, err)
			}
			if member {
				pairs = append(pairs, [2]string{role, other})
			}
		}
	}
	return pairs, nil
}
