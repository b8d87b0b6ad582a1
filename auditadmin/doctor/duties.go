package doctor

import (
	"context"
	"strings"
)

// duties are the roles that can do two things which different people should do.
type duties struct {
	WriteAndRemove   []string `json:"write_and_remove"`
	RemoveAndRelease []string `json:"remove_and_release"`
}

// Superusers can do everything, and so can the owner, whom the check of roles names.
const dutiesQuery = `
	WITH may AS (
		SELECT
			pg_catalog.quote_ident(r.rolname) AS role,
			pg_catalog.has_any_column_privilege(r.oid, t.oid, 'INSERT') AS writes,
			coalesce(pg_catalog.bool_or(f.proname IN ('coordination_audit_expire', 'coordination_audit_erase') AND f.granted), false) AS removes,
			coalesce(pg_catalog.bool_or(f.proname = 'coordination_audit_release_hold' AND f.granted), false) AS releases
		FROM pg_catalog.pg_class AS t
		CROSS JOIN pg_catalog.pg_roles AS r
		CROSS JOIN LATERAL (
			SELECT p.proname, pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE') AS granted
			FROM pg_catalog.pg_proc AS p
			WHERE p.pronamespace = t.relnamespace
				AND p.proname IN ('coordination_audit_expire', 'coordination_audit_erase', 'coordination_audit_release_hold')
		) AS f
		WHERE t.oid = $1::text::regclass
			AND NOT r.rolsuper
			AND r.rolname !~ '^pg_'
			AND r.rolname <> 'coordaudit_retention'
			AND NOT pg_catalog.pg_has_role(r.oid, t.relowner, 'MEMBER')
		GROUP BY r.oid, r.rolname, t.oid
	)
	SELECT pg_catalog.jsonb_build_object(
		'write_and_remove', ARRAY(SELECT may.role FROM may WHERE may.writes AND may.removes ORDER BY 1),
		'remove_and_release', ARRAY(SELECT may.role FROM may WHERE may.removes AND may.releases ORDER BY 1)
	)::text`

// checkDuties names the roles that no one else keeps in check: a service that may remove what it
// wrote, and one that may release the holds which stop it.
func checkDuties(ctx context.Context, x *examination) ([]Finding, error) {
	if !x.has(recordsTable) {
		return nil, nil
	}
	var found duties
	if err := x.ask(ctx, &found, dutiesQuery, x.table(recordsTable)); err != nil {
		return nil, err
	}
	var list []Finding
	name := func(roles []string, evidence, repair string) {
		if len(roles) > 0 {
			list = append(list, Finding{Severity: Warning, Object: "roles " + strings.Join(roles, ", "), Evidence: evidence, Repair: repair})
		}
	}
	name(found.WriteAndRemove, "may store records, and expire or erase them",
		"give expiry and erasure a role of their own: migrate grants --expirer ROLE --apply, and REVOKE EXECUTE ON FUNCTION … FROM these")
	name(found.RemoveAndRelease, "may expire or erase records, and release the legal holds that stop it",
		"give holds a role of their own: migrate grants --holder ROLE --apply, and REVOKE EXECUTE ON FUNCTION coordination_audit_release_hold FROM these")
	return list, nil
}
