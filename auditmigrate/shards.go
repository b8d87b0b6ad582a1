package auditmigrate

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// shardStatements are the statements that let writers store rows on the workers of a Citus
// cluster. A coordinator sends seq and created_at, which it makes itself, with each row. So a
// shard must let the role of a writer set every column, and the table on the coordinator must
// not: with the propagation off, its own rights are taken back there alone. A shard that is
// moved gets the table's rights only, so the grants are to be applied again then.
func shardStatements(ctx context.Context, tx *sql.Tx, a acl, config GrantConfig) ([]string, error) {
	tables, err := distributedTables(ctx, tx, a.at)
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	var list []string
	for _, table := range tables {
		named := config.Writers
		if isSealTable(table) {
			named = config.Sealers
		}
		for _, role := range a.insertingRoles(table, named) {
			columns := a.insertable(table, role)
			if len(columns) == 0 {
				columns = contentColumns(table)
			}
			list = append(list, ShardGrants(a.at.name(quote(table)), roleName(role), quoteList(columns))...)
		}
	}
	return list, nil
}

// ShardGrants returns the statements that let a role set every column of a table's shards, and
// only the given columns of the table itself, all three quoted. See [Migrator.ApplyGrants].
func ShardGrants(table, role, columns string) []string {
	return []string{
		"GRANT INSERT ON TABLE " + table + " TO " + role,
		"SET LOCAL citus.enable_ddl_propagation = off",
		"REVOKE INSERT ON TABLE " + table + " FROM " + role,
		"GRANT INSERT (" + columns + ") ON TABLE " + table + " TO " + role,
		"SET LOCAL citus.enable_ddl_propagation = on",
	}
}

// insertingRoles are the named roles and all others that may insert some columns.
func (a acl) insertingRoles(table string, named []string) []string {
	roles := slices.Clone(named)
	for _, r := range a.rights {
		if r.relation == table && r.privilege == "INSERT" && r.column != "" {
			roles = append(roles, r.role)
		}
	}
	return unique(roles)
}

func (a acl) insertable(table, role string) []string {
	var columns []string
	for _, r := range a.rights {
		if r.relation == table && r.role == role && r.privilege == "INSERT" && r.column != "" {
			columns = append(columns, r.column)
		}
	}
	return columns
}

// distributedTables lists the tables of the trail that are on workers.
func distributedTables(ctx context.Context, tx *sql.Tx, at location) ([]string, error) {
	const doing = "asking Citus for its tables"
	var there bool
	if err := tx.QueryRowContext(ctx, "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL").Scan(&there); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if !there {
		return nil, nil
	}
	var tables []string
	err := eachRow(ctx, tx, `
		SELECT c.relname::text
		FROM pg_catalog.pg_dist_partition AS p
		JOIN pg_catalog.pg_class AS c ON c.oid = p.logicalrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname IN ('`+recordsTable+`', `+sideNames+`)
		ORDER BY c.relname`, at.schema, func(scan func(...any) error) error {
		var table string
		err := scan(&table)
		tables = append(tables, table)
		return err
	})
	return tables, err
}
