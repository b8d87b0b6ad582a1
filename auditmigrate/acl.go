package auditmigrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pressly/goose/v3/database"
)

// relation is a table of the trail, or the sequence of one of its columns.
type relation struct {
	name, kind, table, owner string
	columns                  []string
}

const (
	kindTable    = "TABLE"
	kindSequence = "SEQUENCE"
)

// right is a privilege on a relation, or on one of its columns. An empty role means
// PUBLIC, as no role has an empty name.
type right struct {
	relation, column, role, privilege string
	grantable                         bool
	grantor                           string
}

// same reports whether two rights grant the same privilege, regardless of the grantor.
func (r right) same(other right) bool {
	return r.relation == other.relation && r.column == other.column && r.role == other.role && r.privilege == other.privilege
}

func contains(rights []right, one right) bool { return slices.ContainsFunc(rights, one.same) }

// acl lists the privileges on a trail, except the owner's.
type acl struct {
	at        location
	relations []relation
	rights    []right
}

// findRelations lists the trail's tables and their columns' sequences.
const findRelations = `
	WITH tables AS (
		SELECT c.oid, c.relname, c.relowner
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1
			AND c.relname IN ('` + recordsTable + `', '` + VersionTable + `', '` + TenantMap + `', '` + TenantView + `', ` + sideNames + `)
			AND (c.relkind IN ('r', 'p') OR (c.relkind = 'v' AND c.relname = '` + TenantView + `'))
			AND c.relpersistence <> 't'
	), relations AS (
		SELECT t.oid, t.relname, t.relowner, '` + kindTable + `' AS kind, t.relname AS of_table FROM tables AS t
		UNION ALL
		SELECT s.oid, s.relname, s.relowner, '` + kindSequence + `', t.relname
		FROM tables AS t
		JOIN pg_catalog.pg_depend AS d
			ON d.refclassid = 'pg_catalog.pg_class'::regclass
			AND d.refobjid = t.oid
			AND d.classid = 'pg_catalog.pg_class'::regclass
			AND d.deptype IN ('i', 'a')
		JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
	)`

const findColumns = findRelations + `
	SELECT r.relname::text, r.kind, r.of_table::text, pg_catalog.pg_get_userbyid(r.relowner)::text, coalesce(a.attname::text, '')
	FROM relations AS r
	LEFT JOIN pg_catalog.pg_attribute AS a
		ON a.attrelid = r.oid AND r.kind = '` + kindTable + `' AND a.attnum > 0 AND NOT a.attisdropped
	ORDER BY r.kind DESC, r.of_table, r.relname, a.attnum`

const findRights = findRelations + `, entries AS (
		SELECT r.relname, ''::text AS column_name, r.relowner, x.*
		FROM relations AS r
		JOIN pg_catalog.pg_class AS c ON c.oid = r.oid
		CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS x
		UNION ALL
		SELECT r.relname, a.attname::text, r.relowner, x.*
		FROM relations AS r
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
		CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS x
	)
	SELECT
		e.relname::text,
		e.column_name,
		CASE WHEN e.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(e.grantee)::text END,
		e.privilege_type::text,
		e.is_grantable,
		pg_catalog.pg_get_userbyid(e.grantor)::text
	FROM entries AS e
	WHERE e.grantee <> e.relowner
	ORDER BY 1, 2, 3, 4`

func readACL(ctx context.Context, db database.DBTxConn, at location) (acl, error) {
	a := acl{at: at}
	err := eachRow(ctx, db, findColumns, at.schema, func(scan func(...any) error) error {
		var r relation
		var column string
		if err := scan(&r.name, &r.kind, &r.table, &r.owner, &column); err != nil {
			return err
		}
		if len(a.relations) == 0 || a.relations[len(a.relations)-1].name != r.name {
			a.relations = append(a.relations, r)
		}
		if column != "" {
			last := &a.relations[len(a.relations)-1]
			last.columns = append(last.columns, column)
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	return a, eachRow(ctx, db, findRights, at.schema, func(scan func(...any) error) error {
		var r right
		err := scan(&r.relation, &r.column, &r.role, &r.privilege, &r.grantable, &r.grantor)
		a.rights = append(a.rights, r)
		return err
	})
}

// eachRow reads a query with one argument.
func eachRow(ctx context.Context, db database.DBTxConn, query string, arg any, read func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, query, arg)
	if err != nil {
		return fmt.Errorf("reading the grants: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return fmt.Errorf("reading the grants: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the grants: %w", err)
	}
	return nil
}

func (a acl) relation(name string) (relation, bool) {
	i := slices.IndexFunc(a.relations, func(r relation) bool { return r.name == name })
	if i < 0 {
		return relation{}, false
	}
	return a.relations[i], true
}

// exists reports whether the relation or column of a right still exists.
func (a acl) exists(r right) bool {
	of, ok := a.relation(r.relation)
	return ok && (r.column == "" || slices.Contains(of.columns, r.column))
}

// has reports whether a right is held directly. A right on a table covers its columns.
func (a acl) has(r right) bool {
	if contains(a.rights, r) {
		return true
	}
	r.column = ""
	return contains(a.rights, r)
}

// statements returns the rights as SQL, one statement per relation and role. verb is
// GRANT, REVOKE or REVOKE GRANT OPTION FOR.
func (a acl) statements(verb string, rights []right) []string {
	type key struct{ relation, role string }
	var keys []key
	tables, columns := map[key][]string{}, map[key]map[string][]string{}
	for _, r := range rights {
		k := key{r.relation, r.role}
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
			columns[k] = map[string][]string{}
		}
		if r.column == "" {
			tables[k] = append(tables[k], r.privilege)
		} else {
			columns[k][r.privilege] = append(columns[k][r.privilege], r.column)
		}
	}
	var list []string
	for _, k := range keys {
		of, _ := a.relation(k.relation)
		parts := tables[k]
		for _, privilege := range sortedKeys(columns[k]) {
			parts = append(parts, privilege+" ("+quoteList(columns[k][privilege])+")")
		}
		direction := " TO "
		if strings.HasPrefix(verb, "REVOKE") {
			direction = " FROM "
		}
		list = append(list, verb+" "+strings.Join(parts, ", ")+" ON "+of.kind+" "+a.at.name(quote(of.name))+direction+roleName(k.role))
	}
	return list
}

func roleName(role string) string {
	if role == "" {
		return "PUBLIC"
	}
	return quote(role)
}

func quoteList(columns []string) string {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = quote(column)
	}
	return strings.Join(quoted, ", ")
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
