package auditmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// RetentionRole is the role that the guards of the records pass. It cannot log in. It owns
// the functions by which records expire and texts are erased.
const RetentionRole = "coordaudit_retention"

// The functions that the roles of the retention call, and those that these call. All of them
// belong to RetentionRole.
const (
	expireFunction  = "coordination_audit_expire"
	eraseFunction   = "coordination_audit_erase"
	placeFunction   = "coordination_audit_place_hold"
	releaseFunction = "coordination_audit_release_hold"
	sealedFunction  = "coordination_audit_sealed_through"
	putFunction     = "coordination_audit_put_event"
)

// readableFunction is what a CHECK of the events calls, as whoever stores one.
const readableFunction = "coordination_audit_are_multiranges"

// retention is what there is of it.
type retention struct {
	exists, usage bool // the role; and its USAGE on the schema
	login         bool // the role may log in, as one may that was there before
	superuser     bool // this session's role
	functions     []retentionFunction
}

type retentionFunction struct {
	name, arguments, owner string
	callers                []string // roles with EXECUTE, without the owner; "" is PUBLIC
}

// planRetention gives the functions to their owner, and the right to call them to the named
// roles.
func (p *plan) planRetention(ctx context.Context, tx *sql.Tx, config GrantConfig) error {
	named := config.named()
	enable := len(config.Expirers)+len(config.Erasers)+len(config.Holders) > 0
	r, err := p.readRetention(ctx, tx)
	if err != nil {
		return err
	}
	if enable && len(r.functions) < 6 {
		return errors.New("the functions of expiry and erasure are missing: run the migrations first (migrate up)")
	}
	if enable {
		p.planRetentionRole(r)
	}
	var statements []string
	callers := map[string][]string{expireFunction: config.Expirers, eraseFunction: config.Erasers, placeFunction: config.Holders, releaseFunction: config.Holders}
	for _, f := range r.functions {
		statements = append(statements, p.planCallers(f, named, callers[f.name])...)
	}
	statements = append(statements, p.planOwner(r, enable)...)
	if len(statements) == 0 {
		return nil
	}
	if !r.superuser && !p.trail.mayGrant {
		p.warn("giving functions of the trail to role %s takes a superuser, or an owner of the trail and of schema %s who may create roles", quote(RetentionRole), quote(p.trail.schema))
	}
	if !r.superuser { // only a member of the owner may
		p.statements = append(p.statements, "GRANT "+quote(RetentionRole)+" TO CURRENT_USER")
		statements = append(statements, "REVOKE "+quote(RetentionRole)+" FROM CURRENT_USER")
	}
	p.statements = append(p.statements, statements...)
	return nil
}

// planEvents lets everyone call what a CHECK of the events calls, as the migrations do. Without that
// right no sealer stores an event, and nothing expires.
func (p *plan) planEvents(ctx context.Context, tx *sql.Tx, config GrantConfig) error {
	if len(config.Sealers)+len(config.Expirers)+len(config.Erasers)+len(config.Holders) == 0 {
		return nil
	}
	return eachRow(ctx, tx, `
		SELECT pg_catalog.pg_get_function_identity_arguments(p.oid)
		FROM pg_catalog.pg_proc AS p
		JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
		WHERE n.nspname = $1
			AND p.proname = '`+readableFunction+`'
			AND NOT EXISTS (
				SELECT 1
				FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x
				WHERE x.privilege_type = 'EXECUTE' AND x.grantee = 0
			)`, p.acl.at.schema, func(scan func(...any) error) error {
		var arguments string
		if err := scan(&arguments); err != nil {
			return err
		}
		p.statements = append(p.statements, fmt.Sprintf("GRANT EXECUTE ON FUNCTION %s(%s) TO PUBLIC", p.acl.at.name(quote(readableFunction)), arguments))
		return nil
	})
}

// planRetentionRole creates the role. Another database of the cluster may create it meanwhile.
func (p *plan) planRetentionRole(r retention) {
	if !r.exists {
		p.statements = append(p.statements, "DO $$ BEGIN CREATE ROLE "+quote(RetentionRole)+" NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
	}
	if r.login {
		p.statements = append(p.statements, "ALTER ROLE "+quote(RetentionRole)+" NOLOGIN")
	}
	if !r.usage {
		p.statements = append(p.statements, fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quote(p.trail.schema), quote(RetentionRole)))
	}
	wanted := []right{{relation: recordsTable, privilege: "SELECT"}, {relation: recordsTable, privilege: "DELETE"}}
	for _, column := range []string{"reason", "details"} {
		wanted = append(wanted, right{relation: recordsTable, column: column, privilege: "UPDATE"})
	}
	for _, table := range sealTables() {
		wanted = append(wanted, right{relation: table, privilege: "SELECT"})
	}
	for _, column := range contentColumns(sealEventsTable) {
		wanted = append(wanted, right{relation: sealEventsTable, column: column, privilege: "INSERT"})
	}
	// PostgreSQL asks for it to lock the table against other expiries, and no role but this one has
	// it. The guard refuses each UPDATE.
	wanted = append(wanted, right{relation: sealEventsTable, privilege: "UPDATE"})
	var missing []right
	for _, w := range wanted {
		if w.role = RetentionRole; !contains(p.acl.rights, w) {
			missing = append(missing, w)
		}
	}
	p.statements = append(p.statements, p.acl.statements("GRANT", missing)...)
}

// planCallers lets the wanted roles call a function, and of the named ones no others.
func (p *plan) planCallers(f retentionFunction, named, wanted []string) (statements []string) {
	on := " ON FUNCTION " + p.acl.at.name(quote(f.name)) + "(" + f.arguments + ")"
	for _, role := range f.callers {
		if role == "" || slices.Contains(named, role) && !slices.Contains(wanted, role) {
			statements = append(statements, "REVOKE EXECUTE"+on+" FROM "+roleName(role))
		}
	}
	for _, role := range unique(wanted) {
		if !slices.Contains(f.callers, role) {
			statements = append(statements, "GRANT EXECUTE"+on+" TO "+roleName(role))
		}
	}
	return statements
}

// planOwner gives the functions to the role that the guards pass. The new owner must be allowed
// to create functions in the schema, for as long as that takes.
func (p *plan) planOwner(r retention, enable bool) (statements []string) {
	if !enable {
		return nil
	}
	for _, f := range r.functions {
		if f.owner != RetentionRole {
			statements = append(statements, fmt.Sprintf("ALTER FUNCTION %s(%s) OWNER TO %s", p.acl.at.name(quote(f.name)), f.arguments, quote(RetentionRole)))
		}
	}
	if len(statements) == 0 {
		return nil
	}
	on := fmt.Sprintf("CREATE ON SCHEMA %s ", quote(p.trail.schema))
	return slices.Concat([]string{"GRANT " + on + "TO " + quote(RetentionRole)}, statements, []string{"REVOKE " + on + "FROM " + quote(RetentionRole)})
}

func (p *plan) readRetention(ctx context.Context, tx *sql.Tx) (r retention, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT
			EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1),
			coalesce((SELECT pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE') FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1), false),
			EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1 AND r.rolcanlogin),
			(SELECT u.rolsuper FROM pg_catalog.pg_roles AS u WHERE u.rolname = current_user)
		FROM pg_catalog.pg_namespace AS n
		WHERE n.nspname = $2`, RetentionRole, p.acl.at.schema).Scan(&r.exists, &r.usage, &r.login, &r.superuser)
	if err != nil {
		return r, fmt.Errorf("reading about role %q: %w", RetentionRole, err)
	}
	err = eachRow(ctx, tx, `
		SELECT
			p.proname::text,
			pg_catalog.pg_get_function_identity_arguments(p.oid),
			pg_catalog.pg_get_userbyid(p.proowner)::text,
			coalesce(CASE WHEN x.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(x.grantee)::text END, pg_catalog.pg_get_userbyid(p.proowner)::text)
		FROM pg_catalog.pg_proc AS p
		JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
		LEFT JOIN LATERAL pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x ON x.privilege_type = 'EXECUTE'
		WHERE n.nspname = $1
			AND p.prosecdef
			AND p.proname IN ('`+expireFunction+`', '`+eraseFunction+`', '`+placeFunction+`', '`+releaseFunction+`', '`+sealedFunction+`', '`+putFunction+`')
		ORDER BY 1, 2`, p.acl.at.schema, func(scan func(...any) error) error {
		var f retentionFunction
		var caller string
		if err := scan(&f.name, &f.arguments, &f.owner, &caller); err != nil {
			return err
		}
		if n := len(r.functions); n == 0 || r.functions[n-1].name != f.name || r.functions[n-1].arguments != f.arguments {
			r.functions = append(r.functions, f)
		}
		if last := &r.functions[len(r.functions)-1]; caller != f.owner {
			last.callers = append(last.callers, caller)
		}
		return nil
	})
	return r, err
}
