package auditadmin

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// compareTenants checks the view of tenant readers and the table behind it. No migration makes
// them, so none is missing where neither stands.
func compareTenants(found catalog.Schema, schema string) []Difference {
	view, readers := found.Table(auditmigrate.TenantView), found.Table(auditmigrate.TenantMap)
	if view == nil && readers == nil {
		return nil
	}
	c := tenantComparison{
		found: found, view: schema + "." + auditmigrate.TenantView, readers: schema + "." + auditmigrate.TenantMap, owner: ownerOf(found),
	}
	const again = "migrate grants --tenant-reader ROLE=TENANT --apply makes it again"
	switch {
	case view == nil:
		c.add("view "+c.view, "the view of tenant readers", "missing", again)
	case found.TenantView == nil:
		c.add("view "+c.view, "a view", kindName(view.Kind), "rename it; "+again)
	default:
		c.compareView(*view, *found.TenantView, schema, again)
	}
	if readers == nil || readers.Kind != "r" {
		c.add("table "+c.readers, "a table that says whose records a role sees", "missing, or of another kind", "DROP VIEW "+c.view+"; "+again)
		return c.list
	}
	c.compareReaders(*readers)
	return c.list
}

type tenantComparison struct {
	found         catalog.Schema
	view, readers string
	owner         *catalog.Role
	list          []Difference
}

func (c *tenantComparison) add(object, want, got, repair string) {
	c.list = append(c.list, Difference{Object: object, Severity: Error, Want: want, Got: got, Repair: repair})
}

func (c *tenantComparison) compareView(view catalog.Table, options catalog.TenantView, schema, again string) {
	if !options.Barrier {
		c.add("view "+c.view, "a security barrier", "none: a function in a predicate sees the records of every tenant", "ALTER VIEW "+c.view+" SET (security_barrier = true);")
	}
	if options.Invoker {
		c.add("view "+c.view, "the rights of its owner", "security_invoker: no tenant reader can read through it", "ALTER VIEW "+c.view+" RESET (security_invoker);")
	}
	if bareDefinition(options.Definition) != bareDefinition(strings.ReplaceAll(tenantDefinition, "$schema", schema)) {
		c.add("view "+c.view, "the definition that migrate grants gives it", "another one: it may show other tenants", "DROP VIEW "+c.view+"; "+again)
	}
	c.list = append(c.list, compareOwner("view "+c.view, "VIEW "+c.view, view.Owner, c.owner)...)
	for _, trigger := range view.Triggers {
		c.add("trigger "+trigger.Name+" on "+c.view, "no trigger", "it writes what is stored into the view", "DROP TRIGGER "+trigger.Name+" ON "+c.view+";")
	}
	for _, rule := range view.Rules {
		if rule.Event != "SELECT" {
			c.add("rule "+rule.Name+" on "+c.view, "no rule", "ON "+rule.Event, "DROP RULE "+rule.Name+" ON "+c.view+";")
		}
	}
	records := c.found.Table(catalog.Records)
	for _, grant := range view.Grants {
		object := "privileges of " + grant.Role + " on view " + c.view
		excess := slices.DeleteFunc(slices.Clone(grant.Privileges), func(p string) bool { return strings.HasPrefix(p, "SELECT") })
		if len(excess) > 0 {
			got := strings.Join(excess, ", ")
			c.add(object, "SELECT alone", got, fmt.Sprintf("REVOKE %s ON %s FROM %s;", got, c.view, grant.Role))
		}
		if records != nil && slices.ContainsFunc(records.Grants, func(g catalog.Grant) bool { return g.Role == grant.Role || g.Role == "PUBLIC" }) {
			c.add(object, "a role that reads through the view alone", "it has rights on the table of records too, and sees every tenant", fmt.Sprintf("REVOKE ALL ON %s.%s FROM %s, PUBLIC;", schema, catalog.Records, grant.Role))
		}
	}
}

// compareReaders checks that no one can give itself a tenant, or see who has which.
func (c *tenantComparison) compareReaders(readers catalog.Table) {
	c.list = append(c.list, compareOwner("table "+c.readers, "TABLE "+c.readers, readers.Owner, c.owner)...)
	for _, grant := range readers.Grants {
		c.add("privileges of "+grant.Role+" on table "+c.readers, "none", strings.Join(grant.Privileges, ", "), "REVOKE ALL ON "+c.readers+" FROM "+grant.Role+";")
	}
}

// bareDefinition leaves out layout, which versions of PostgreSQL may print in other ways.
func bareDefinition(text string) string {
	return regexp.MustCompile(`[\s();]`).ReplaceAllString(text, "")
}

// tenantDefinition is the view of auditmigrate as pg_get_viewdef prints it.
const tenantDefinition = `
SELECT
	r.created_at,
	r.audit_id,
	r.envelope_id,
	r.envelope_class,
	r.decision,
	r.reason,
	r.decision_timestamp,
	r.conflicting_envelope_id,
	r.preempting_envelope_id,
	r.active_envelopes_count,
	r.tenant_id,
	r.target_subsystem,
	r.target_parameter,
	r.counterpart_class,
	r.reason_code,
	r.policy_version,
	r.actor,
	r.caused_by,
	r.corrects,
	r.correlation_id,
	r.trace_id,
	r.span_id,
	r.details
FROM ($schema.coordination_audit_records r
	CROSS JOIN (SELECT ARRAY(
		SELECT COALESCE(m.tenant_id, ''::character varying) AS tenant
		FROM ($schema.coordination_audit_tenant_readers m JOIN pg_roles p ON ((p.rolname = m.role_name)))
		WHERE pg_has_role(p.oid, 'USAGE'::text)
	) AS tenants) allowed)
WHERE ((COALESCE(r.tenant_id, ''::character varying))::text = ANY ((allowed.tenants)::text[]))`
