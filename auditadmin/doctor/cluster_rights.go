package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// rightless is a role that may use a table, and not some of its shards.
type rightless struct {
	Table     string   `json:"table"`
	Role      string   `json:"role"`      // quoted
	Privilege string   `json:"privilege"` // INSERT or SELECT, or LOGIN if it cannot log in on the worker
	Shards    []string `json:"shards"`
}

// askRights looks for roles that a worker would refuse. A shard that was moved has the rights of
// the table on the coordinator, and so not those that migrate grants gives a writer on shards. A
// role may also have been created before a worker came, or by hand on one node.
func (x *examination) askRights(ctx context.Context, found *cluster, table string) error {
	var list []rightless
	err := x.ask(ctx, &list, `
		WITH granted AS (
			SELECT DISTINCT r.rolname, r.rolcanlogin, a.privilege_type
			FROM pg_catalog.pg_class AS c
			CROSS JOIN LATERAL (
				SELECT t.grantee, t.privilege_type FROM pg_catalog.aclexplode(c.relacl) AS t
				UNION ALL
				SELECT t.grantee, t.privilege_type
				FROM pg_catalog.pg_attribute AS b
				CROSS JOIN LATERAL pg_catalog.aclexplode(b.attacl) AS t
				WHERE b.attrelid = c.oid AND NOT b.attisdropped AND t.privilege_type = 'INSERT'
			) AS a
			JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
			WHERE c.oid = $1::text::regclass AND a.privilege_type IN ('INSERT', 'SELECT')
		),
		asked AS (
			SELECT s.shardid, s.result::jsonb AS lacking
			FROM pg_catalog.run_command_on_shards($1::text::regclass, pg_catalog.format($cmd$
				SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('rolname', g.rolname, 'privilege_type',
					CASE WHEN r.oid IS NULL OR g.rolcanlogin AND NOT r.rolcanlogin THEN 'LOGIN' ELSE g.privilege_type END)), '[]')
				FROM pg_catalog.jsonb_to_recordset(%L) AS g (rolname text, rolcanlogin boolean, privilege_type text)
				LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = g.rolname
				WHERE r.oid IS NULL OR g.rolcanlogin AND NOT r.rolcanlogin
					OR EXISTS (
						SELECT 1 FROM pg_catalog.pg_attribute AS b
						WHERE b.attrelid = '%%s'::regclass AND b.attnum > 0 AND NOT b.attisdropped
							AND NOT pg_catalog.has_column_privilege(r.oid, b.attrelid, b.attnum, g.privilege_type)
					)
			$cmd$, (SELECT coalesce(pg_catalog.jsonb_agg(g), '[]') FROM granted AS g)::text)) AS s
			WHERE s.success
		)
		SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.role, x.privilege), '[]')::text
		FROM (
			SELECT $2::text AS "table", pg_catalog.quote_ident(l.rolname) AS role, l.privilege_type AS privilege,
				pg_catalog.array_agg(DISTINCT a.shardid::text) AS shards
			FROM asked AS a
			CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(a.lacking) AS l (rolname text, privilege_type text)
			GROUP BY 2, 3
		) AS x`, x.table(table), table)
	found.Rightless = append(found.Rightless, list...)
	return err
}

func (r rightless) judge() Finding {
	shards := fmt.Sprintf("%s (%s)", format.Plural(int64(len(r.Shards)), "shard"), strings.Join(r.Shards, ", "))
	f := Finding{
		Severity: Error, Object: "shards of " + r.Table,
		Evidence: "role " + r.Role + " has " + r.Privilege + " on the table, and not on all columns of " + shards + ", as after one was moved or split: the worker refuses it there (42501)",
		Repair:   "migrate grants --apply with this role as its --writer, --sealer or --reader: it grants on every shard again",
	}
	if r.Privilege == "LOGIN" {
		f.Evidence = "role " + r.Role + " may not log in on the worker of " + shards + ", and the coordinator logs in there as this role: its statements fail (08006)"
		f.Repair = "CREATE ROLE " + r.Role + " LOGIN, or ALTER ROLE " + r.Role + " LOGIN, on that worker, then migrate grants --apply with it"
	}
	return f
}
