package auditmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The view through which tenant readers read, and the table that says whose records each
// of them sees. No migration creates them: the first grant to a tenant reader does.
const (
	TenantView = "coordination_audit_tenant_records"
	TenantMap  = "coordination_audit_tenant_readers"
)

// TenantReader is a role that reads the records of one tenant, or those with no tenant.
type TenantReader struct {
	Role string

	// Tenant is the tenant's id. NoTenant stands for the records that have none, and Tenant
	// is empty then.
	Tenant   string
	NoTenant bool
}

const maxTenant = 100 // characters, as in the table of records

func (r TenantReader) check() error {
	switch {
	case r.Role == "":
		return errors.New("a tenant reader has no role")
	case r.NoTenant && r.Tenant != "":
		return fmt.Errorf("tenant reader %q: both a tenant and none: name it twice for both", r.Role)
	case !r.NoTenant && r.Tenant == "":
		return fmt.Errorf("tenant reader %q: no tenant is given: say so if the records with no tenant are meant (NoTenant)", r.Role)
	case utf8.RuneCountInString(r.Tenant) > maxTenant || !utf8.ValidString(r.Tenant) || strings.Contains(r.Tenant, "\x00"):
		return fmt.Errorf("tenant reader %q: no record can have that tenant: it needs 1 to %d characters of UTF-8", r.Role, maxTenant)
	default:
		return nil
	}
}

// sql is the tenant as a literal.
func (r TenantReader) sql() string {
	if r.NoTenant {
		return "NULL"
	}
	return quoteText(r.Tenant)
}

func tenantRoles(readers []TenantReader) []string {
	roles := make([]string, len(readers))
	for i, r := range readers {
		roles[i] = r.Role
	}
	return unique(roles)
}

// tenantColumns are the columns of the view. It leaves out seq, source_id and source_seq,
// which count what others do. New columns go to the end, as CREATE OR REPLACE VIEW needs it.
func tenantColumns() []string {
	columns := []string{"created_at"}
	for _, column := range contentColumns(recordsTable) {
		if column != "source_id" && column != "source_seq" {
			columns = append(columns, column)
		}
	}
	return columns
}

// tenantView is the view. As a barrier it evaluates what a reader asks for only on rows that
// the reader may see. The array is made once for a query, and the key is that of the indexes
// on a scope. A role sees what the roles see whose rights it has, as it inherits any right.
// With two relations to read from, nothing can be stored through the view.
func (a acl) tenantView() string {
	columns := make([]string, len(tenantColumns()))
	for i, column := range tenantColumns() {
		columns[i] = "r." + column
	}
	return "CREATE OR REPLACE VIEW " + a.at.name(TenantView) + " WITH (security_barrier = true) AS SELECT " + strings.Join(columns, ", ") +
		" FROM " + a.at.name(recordsTable) + " AS r" +
		" CROSS JOIN (SELECT ARRAY(SELECT coalesce(m.tenant_id, '') AS tenant FROM " + a.at.name(TenantMap) + " AS m" +
		" JOIN pg_catalog.pg_roles AS p ON p.rolname = m.role_name WHERE pg_catalog.pg_has_role(p.oid, 'USAGE')) AS tenants) AS allowed" +
		" WHERE coalesce(r.tenant_id, '') = ANY (allowed.tenants)"
}

// tenantMap is the table behind the view. No tenant is called ”, so ” stands for none in its
// key.
func (a acl) tenantMap() []string {
	name := a.at.name(TenantMap)
	return []string{
		"CREATE TABLE " + name + " (role_name name NOT NULL, tenant_id varchar(100) CHECK (tenant_id <> ''))",
		"CREATE UNIQUE INDEX " + TenantMap + "_key ON " + name + " (role_name, (coalesce(tenant_id, '')))",
	}
}

// planTenants makes the view and its table where they are missing, and lets each named role
// see its tenants and no others.
func (p *plan) planTenants(ctx context.Context, tx *sql.Tx, config GrantConfig) error {
	_, mapped := p.acl.relation(TenantMap)
	if len(config.TenantReaders) == 0 && !mapped {
		return nil
	}
	if err := p.makeTenantView(ctx, tx, mapped); err != nil {
		return err
	}
	var held []TenantReader
	if mapped {
		var err error
		if held, err = p.readTenants(ctx, tx, config.named()); err != nil {
			return err
		}
	}
	name := p.acl.at.name(TenantMap)
	for _, r := range held {
		if !slices.Contains(config.TenantReaders, r) {
			p.statements = append(p.statements, fmt.Sprintf("DELETE FROM %s WHERE role_name = %s AND tenant_id IS NOT DISTINCT FROM %s", name, quoteText(r.Role), r.sql()))
		}
	}
	for i, r := range config.TenantReaders {
		if !slices.Contains(held, r) && !slices.Contains(config.TenantReaders[:i], r) {
			p.statements = append(p.statements, fmt.Sprintf("INSERT INTO %s (role_name, tenant_id) VALUES (%s, %s)", name, quoteText(r.Role), r.sql()))
		}
	}
	return nil
}

func (p *plan) makeTenantView(ctx context.Context, tx *sql.Tx, mapped bool) error {
	owner := p.owner()
	var self string
	if err := tx.QueryRowContext(ctx, "SELECT current_user::text").Scan(&self); err != nil {
		return fmt.Errorf("asking for this role: %w", err)
	}
	own := func(table string) {
		p.creates = true
		if self != owner {
			p.statements = append(p.statements, "ALTER TABLE "+p.acl.at.name(table)+" OWNER TO "+quote(owner))
		}
		p.acl.relations = append(p.acl.relations, relation{name: table, kind: kindTable, table: table, owner: owner, columns: tenantColumns()})
	}
	if !mapped {
		p.statements = append(p.statements, p.acl.tenantMap()...)
		own(TenantMap)
	}
	view, viewed := p.acl.relation(TenantView)
	if !viewed || !slices.Equal(view.columns, tenantColumns()) {
		p.statements = append(p.statements, p.acl.tenantView())
	}
	if !viewed {
		own(TenantView)
	}
	var excess []right
	for _, r := range p.acl.rights {
		if r.relation == TenantMap { // who sees the table learns of other tenants, who writes it becomes one
			excess = append(excess, r)
		}
	}
	p.excess = append(p.excess, excess...)
	p.statements = append(p.statements, p.acl.statements("REVOKE", excess)...)
	return nil
}

// readTenants lists what the named roles see now.
func (p *plan) readTenants(ctx context.Context, tx *sql.Tx, named []string) (held []TenantReader, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT role_name::text, coalesce(tenant_id::text, ''), tenant_id IS NULL FROM "+p.acl.at.name(TenantMap)+" ORDER BY 1, 2") //nolint:gosec // names cannot be arguments, and this one is quoted
	if err != nil {
		return nil, fmt.Errorf("reading the tenants of roles: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r TenantReader
		if err := rows.Scan(&r.Role, &r.Tenant, &r.NoTenant); err != nil {
			return nil, fmt.Errorf("reading the tenants of roles: %w", err)
		}
		if slices.Contains(named, r.Role) {
			held = append(held, r)
		}
	}
	return held, rows.Err()
}

// checkTenants refuses roles that read past the view. members are the pairs of readMembers.
func (p *plan) checkTenants(config GrantConfig, members [][2]string) error {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, role := range tenantRoles(config.TenantReaders) {
		name, facts := quote(role), p.roles[role]
		if slices.Contains(config.readingAll(), role) {
			add("role %s is named as a writer, reader or sealer too, or as one who expires, erases or holds: they read every record", name)
		}
		if facts.superuser || facts.ownsTables || facts.ownsScope {
			add("role %s is a superuser, or owns the trail or its schema, or is a member of that owner", name)
		}
		if facts.powerful != "" {
			add("role %s %s", name, facts.powerful)
		}
		for _, pair := range members {
			if pair[0] == role && p.readsAll(pair[1]) {
				add("role %s is a member of %s, which may read the trail itself", name, quote(pair[1]))
			}
		}
	}
	if p.readsAll("") && len(config.TenantReaders) > 0 {
		add("every role may read the trail: REVOKE SELECT ON … FROM PUBLIC first")
	}
	if len(faults) > 0 {
		return fmt.Errorf("a tenant reader must read through the view alone, nothing was changed: %s", strings.Join(faults, "; "))
	}
	return nil
}

// readsAll reports a right of a role on a table of the trail, other than the version table,
// whose sequences and view do not show records.
func (p *plan) readsAll(role string) bool {
	return slices.ContainsFunc(p.acl.rights, func(r right) bool {
		of, _ := p.acl.relation(r.relation)
		return r.role == role && of.kind == kindTable && of.name != VersionTable && of.name != TenantView
	})
}

// quoteText is a text as a literal, regardless of standard_conforming_strings.
func quoteText(text string) string {
	literal := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(literal, `\`, `\\`)
	}
	return literal
}
