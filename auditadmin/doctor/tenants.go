package doctor

import (
	"context"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

type tenantFacts struct {
	Readers int      `json:"readers"`
	Gone    []string `json:"gone"` // roles that do not exist
}

// hidesStatistics reports whether the planner keeps the statistics of a table behind a view from
// operators of the reader's own (CVE-2025-8713).
func hidesStatistics(version int) bool {
	fixed := map[int]int{14: 19, 15: 14, 16: 10, 17: 6}
	minor, known := fixed[version/10_000]
	return !known || version%10_000 >= minor
}

// checkTenantReaders adds to the guards and grants what only a trail with tenant readers needs.
func checkTenantReaders(ctx context.Context, x *examination) ([]Finding, error) {
	if x.trail == nil {
		return nil, nil
	}
	name := x.table(auditmigrate.TenantMap)
	var stands bool
	if err := x.ask(ctx, &stands, "SELECT (pg_catalog.to_regclass($1::text) IS NOT NULL)::text", name); err != nil || !stands {
		return nil, err
	}
	var found tenantFacts
	err := x.ask(ctx, &found, `
		SELECT pg_catalog.jsonb_build_object(
			'readers', pg_catalog.count(*),
			'gone', coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.quote_ident(m.role_name)) FILTER (WHERE r.oid IS NULL), '[]')
		)::text
		FROM `+name+` AS m
		LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = m.role_name`)
	if err != nil {
		return nil, err
	}
	var list []Finding
	if len(found.Gone) > 0 {
		list = append(list, Finding{
			Severity: Warning, Object: "table " + name,
			Evidence: "roles that do not exist see tenants: " + strings.Join(found.Gone, ", ") + "; a role that gets such a name and the grant sees them too",
			Repair:   "as the owner of the trail: DELETE FROM " + name + " WHERE role_name = …;",
		})
	}
	if found.Readers > 0 && !hidesStatistics(x.server.Version) {
		list = append(list, Finding{
			Severity: Warning, Object: "this minor release of PostgreSQL",
			Evidence: "a tenant reader who may create functions can read samples of other tenants' texts out of the planner's statistics (CVE-2025-8713)",
			Repair:   "update to 14.19, 15.14, 16.10, 17.6 or later",
		})
	}
	return list, nil
}
