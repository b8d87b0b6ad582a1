package auditmigrate

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// plan holds the statements that change the roles' rights to the wanted ones.
type plan struct {
	acl        acl
	trail      schemaFacts
	roles      map[string]roleFacts
	statements []string
	warnings   []string
	excess     []right
	creates    bool // the view of tenant readers
}

// schemaFacts describes the schema and the database.
type schemaFacts struct {
	schema, owner, database string
	mayGrant                bool // this role may grant on the schema
	publicCreate            bool
}

// roleFacts describes a named role.
type roleFacts struct {
	superuser             bool
	ownsTables, ownsScope bool // itself, or as a member of the owner
	create                bool // CREATE on the schema, granted to it
	usage, connect        bool
	writesAll             bool
	powerful              string // what lets it read past every grant, or ""
}

func newPlan(ctx context.Context, tx *sql.Tx, at location, config GrantConfig) (*plan, error) {
	a, err := readACL(ctx, tx, at)
	if err != nil {
		return nil, err
	}
	tenants := tenantRoles(config.TenantReaders)
	named := config.named()
	p := &plan{acl: a, roles: map[string]roleFacts{}}
	if err := p.readRoles(ctx, tx, named); err != nil {
		return nil, err
	}
	if len(config.Sealers) > 0 {
		if err := p.checkSealTables(); err != nil {
			return nil, err
		}
	}
	if err := p.readSchema(ctx, tx); err != nil {
		return nil, err
	}
	members, err := p.readMembers(ctx, tx, named)
	if err != nil {
		return nil, err
	}
	if err := p.checkTenants(config, members); err != nil {
		return nil, err
	}
	p.planPublic(config.RevokePublicCreate)
	if err := p.planTenants(ctx, tx, config); err != nil {
		return nil, err
	}
	for _, role := range named {
		p.planRole(role, p.wanted(role, use{
			writes: slices.Contains(config.Writers, role),
			reads:  slices.Contains(config.readers(), role),
			seals:  slices.Contains(config.Sealers, role),
			tenant: slices.Contains(tenants, role),
		}))
	}
	if err := p.planRetention(ctx, tx, config); err != nil {
		return nil, err
	}
	if err := p.planEvents(ctx, tx, config); err != nil {
		return nil, err
	}
	p.warnOfMembers(members)
	p.warnOfOthers(append(named, RetentionRole))
	return p, nil
}

// use is what a role is named as.
type use struct{ writes, reads, seals, tenant bool }

// checkSealTables refuses to name a sealer before there is anything to seal into.
func (p *plan) checkSealTables() error {
	for _, table := range sealTables() {
		if _, ok := p.acl.relation(table); !ok {
			return fmt.Errorf("there is no table %s yet, which a sealer needs: run the migrations first (migrate up)", p.acl.at.name(table))
		}
	}
	return nil
}

// wanted returns all rights that a role should have for its use, and no others.
func (p *plan) wanted(role string, of use) []right {
	if of.tenant {
		return []right{{relation: TenantView, role: role, privilege: "SELECT"}}
	}
	var list []right
	for _, r := range p.acl.relations {
		if r.table == TenantView || r.table == TenantMap {
			continue
		}
		if r.kind == kindSequence && r.table == VersionTable {
			continue
		}
		inserts := of.writes
		if isSealTable(r.table) {
			if !of.reads && !of.seals {
				continue
			}
			inserts = of.seals
		}
		list = append(list, right{relation: r.name, role: role, privilege: "SELECT"})
		if !inserts || r.kind != kindTable {
			continue
		}
		for _, column := range contentColumns(r.name) {
			if slices.Contains(r.columns, column) {
				list = append(list, right{relation: r.name, column: column, role: role, privilege: "INSERT"})
			}
		}
	}
	return list
}

// planRole revokes before it grants, because REVOKE on a table affects its columns.
func (p *plan) planRole(role string, wanted []right) {
	facts := p.roles[role]
	p.warnOfRole(role, facts)
	if p.owner() == role {
		return // an owner's rights do not come from grants
	}
	p.planSchema(role, facts)
	viewed := slices.ContainsFunc(wanted, func(r right) bool { return r.relation == TenantView })
	var tooMuch, options []right
	for _, r := range p.acl.rights {
		switch {
		case r.role != role || (r.privilege == "SELECT" && r.column != "" && !viewed):
		case !contains(wanted, r):
			tooMuch = append(tooMuch, r)
		case r.grantable:
			options = append(options, r)
		}
	}
	p.excess = append(p.excess, slices.Concat(tooMuch, options)...)
	p.statements = append(p.statements, p.acl.statements("REVOKE", tooMuch)...)
	p.statements = append(p.statements, p.acl.statements("REVOKE GRANT OPTION FOR", options)...)
	wholeTable := func(r right) bool {
		return slices.ContainsFunc(tooMuch, func(t right) bool {
			return t.column == "" && t.relation == r.relation && t.privilege == r.privilege
		})
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(r right) bool { return contains(p.acl.rights, r) && !wholeTable(r) })
	p.statements = append(p.statements, p.acl.statements("GRANT", missing)...)
}

func (p *plan) planSchema(role string, facts roleFacts) {
	schema, name := quote(p.trail.schema), quote(role)
	if facts.create {
		p.onSchema(fmt.Sprintf("REVOKE CREATE ON SCHEMA %s FROM %s", schema, name), fmt.Sprintf("role %s may create tables and functions in schema %s", name, schema))
	}
	if !facts.usage {
		p.onSchema(fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", schema, name), fmt.Sprintf("role %s has no USAGE on schema %s", name, schema))
	}
	if !facts.connect {
		p.warn("role %s may not connect to the database: ask its owner to run: GRANT CONNECT ON DATABASE %s TO %s", name, quote(p.trail.database), name)
	}
}

// onSchema warns if only the schema's owner may run the statement.
func (p *plan) onSchema(statement, why string) {
	if p.trail.mayGrant {
		p.statements = append(p.statements, statement)
		return
	}
	p.warn("%s: ask the schema's owner, %s, to run: %s", why, quote(p.trail.owner), statement)
}

// planPublic revokes from PUBLIC what only the named roles should have.
func (p *plan) planPublic(revokeCreate bool) {
	var tooMuch []right
	var readable []string
	for _, r := range p.acl.rights {
		switch {
		case r.role != "":
		case r.privilege == "SELECT":
			if of, _ := p.acl.relation(r.relation); of.kind == kindTable && of.name != VersionTable && !slices.Contains(readable, p.acl.at.name(of.name)) {
				readable = append(readable, p.acl.at.name(of.name))
			}
		default:
			tooMuch = append(tooMuch, r)
		}
	}
	p.excess = append(p.excess, tooMuch...)
	p.statements = append(p.statements, p.acl.statements("REVOKE", tooMuch)...)
	if len(readable) > 0 {
		p.warn("every role may read the trail: REVOKE SELECT ON %s FROM PUBLIC", strings.Join(readable, ", "))
	}
	if !p.trail.publicCreate {
		return
	}
	statement := fmt.Sprintf("REVOKE CREATE ON SCHEMA %s FROM PUBLIC", quote(p.trail.schema))
	if revokeCreate {
		p.onSchema(statement, "every role may create tables and functions in the trail's schema")
		return
	}
	p.warn("every role may create tables and functions in schema %s, which can hide those of others: if nothing else needs that, pass --revoke-public-create (GrantConfig.RevokePublicCreate), or: %s", quote(p.trail.schema), statement)
}

func (p *plan) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.warnings, text) {
		p.warnings = append(p.warnings, text)
	}
}

func (p *plan) warnOfRole(role string, facts roleFacts) {
	name := quote(role)
	switch {
	case facts.superuser:
		p.warn("role %s is a superuser: no grant binds it, and it can switch the guards off", name)
	case facts.ownsTables:
		p.warn("role %s owns the trail, or is a member of its owner %s: it can grant itself anything and switch the guards off", name, quote(p.owner()))
	case facts.ownsScope:
		p.warn("role %s owns the schema, or is a member of its owner %s: it can drop the trail", name, quote(p.trail.owner))
	}
	if facts.writesAll && !facts.superuser {
		p.warn("role %s is a member of pg_write_all_data: it may UPDATE and DELETE in every table", name)
	}
}

// warnOfMembers names roles whose members get excess rights.
func (p *plan) warnOfMembers(members [][2]string) {
	for _, pair := range members {
		role, of := pair[0], pair[1]
		if what := p.dangerous(of); what != "" && !p.roles[role].superuser {
			p.warn("role %s is a member of %s, which may %s", quote(role), quote(of), what)
		}
	}
}

// warnOfOthers names other roles that may change the trail.
func (p *plan) warnOfOthers(named []string) {
	for _, role := range p.acl.roles() {
		if what := p.dangerous(role); what != "" && !slices.Contains(named, role) {
			p.warn("role %s may %s: name it as a writer, reader or sealer, or revoke it", quote(role), what)
		}
	}
}

// dangerous lists the rights of a role that go beyond those of a writer and a sealer.
func (p *plan) dangerous(role string) string {
	var list []string
	wanted := p.wanted(role, use{writes: true, reads: true, seals: true})
	for _, r := range p.acl.rights {
		if r.role == role && r.privilege != "SELECT" && !contains(wanted, r) {
			if what := r.privilege + " on " + r.relation; !slices.Contains(list, what) {
				list = append(list, what)
			}
		}
	}
	return strings.Join(list, ", ")
}

// owner returns the owner of the records' table.
func (p *plan) owner() string {
	r, _ := p.acl.relation(recordsTable)
	return r.owner
}

// grantors returns who granted the remaining rights.
func (p *plan) grantors() []string {
	var list []string
	for _, r := range p.excess {
		if name := quote(r.grantor); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		list = append(list, "another role")
	}
	return list
}
