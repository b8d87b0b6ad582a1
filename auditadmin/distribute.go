package auditadmin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/clusterschema"
)

const doingDistribute = "distributing the trail"

// ErrNoCluster means that this database is not the coordinator of a Citus cluster that has
// workers. The text says what is missing. Nothing was changed.
var ErrNoCluster = errors.New("this is no Citus cluster to distribute over")

// shardsPerWorker is the default: more shards cost each batch a commit more on each, and
// fewer leave nothing to move to a new worker.
const shardsPerWorker = 4

// DistributeConfig sets how Distribute works. The zero value is ready for use.
type DistributeConfig struct {
	// Shards is the number of shards of each table. A cluster cannot have more workers than
	// that. Defaults to 4 for each worker.
	Shards int

	// LockTimeout bounds the wait for a migrating process, and each wait for a table that
	// others use. Defaults to 1 minute.
	LockTimeout time.Duration
}

// DistributedTable is a table of the trail whose rows are on the workers.
type DistributedTable struct {
	Name   string
	Key    string // the column whose hash decides on the shard
	Shards int

	// Moved is the number of rows that the call moved to the workers.
	Moved int64

	// Now means that this call distributed it.
	Now bool
}

// Distribute distributes the trail over the workers of a Citus cluster: records by
// audit_id, gaps by gap_id, statements by source_id. It adds a table that says which of their
// rows are sealed, next to them. The other tables of the seal and the version table stay on
// the coordinator. It keeps every row, and its triggers are on every shard.
//
// It is one transaction under the migration lock. Until it ends, writers wait, and at its
// very end readers, too. Before it begins, the guards must be in place, because a shard gets
// the triggers that its table has at that moment. Tables that are distributed already stay
// as they are, so a second call does nothing.
//
// Call it as the owner of the tables, on the coordinator. It returns [ErrNoCluster] where
// there is no cluster, and [ErrNoTrail] where there is no complete trail.
func Distribute(ctx context.Context, conn *pgx.Conn, config DistributeConfig) ([]DistributedTable, error) {
	tables, err := distribute(ctx, conn, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doingDistribute, err)
	}
	return tables, nil
}

func distribute(ctx context.Context, conn *pgx.Conn, config DistributeConfig) ([]DistributedTable, error) {
	if config.LockTimeout <= 0 {
		config.LockTimeout = time.Minute
	}
	unlock, err := auditmigrate.Lock(ctx, conn, config.LockTimeout)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := distributable(found); err != nil {
		return nil, err
	}
	if config.Shards <= 0 {
		config.Shards = shardsPerWorker * found.distribution.Workers
	}
	var tables []DistributedTable
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf(`
			SET LOCAL search_path = pg_catalog, pg_temp;
			SET LOCAL lock_timeout = %d;
			SET LOCAL statement_timeout = 0;
			SET LOCAL row_security = off;
			SET LOCAL client_min_messages = warning;
			SET LOCAL citus.enable_unsafe_triggers = on`, config.LockTimeout.Milliseconds()))
		if err != nil {
			return err
		}
		if err := makeLeaves(ctx, tx, found); err != nil {
			return err
		}
		for _, p := range placements() {
			table, err := place(ctx, tx, found, p, config.Shards)
			if err != nil {
				return fmt.Errorf("table %s: %w", p.table, explainDistribution(err))
			}
			tables = append(tables, table)
		}
		return nil
	})
	return tables, err
}

// distributable refuses what must not, or cannot, be distributed.
func distributable(found *inspection) error {
	d := found.distribution
	switch {
	case found.versions == ahead:
		return errors.New("a newer program has migrated this database: distribute it with that program")
	case !found.stands || found.versions != current:
		return fmt.Errorf("%w: migrate up first, as the owner of the tables", ErrNoTrail)
	case d.Version == "":
		return fmt.Errorf("%w: the extension is not in this database: CREATE EXTENSION citus, on every node, and SELECT citus_add_node for each worker (docs/citus.md)", ErrNoCluster)
	case !d.Coordinator:
		return fmt.Errorf("%w: this is a worker: connect to the coordinator", ErrNoCluster)
	case d.Workers == 0:
		return fmt.Errorf("%w: it has no workers: SELECT citus_set_coordinator_host and citus_add_node (docs/citus.md)", ErrNoCluster)
	}
	for _, e := range Errors(found.differences) {
		return fmt.Errorf("the schema or its guards differ from what the migrations make, and a shard is made as its table is (%s): migrate repair first, and see migrate validate", e.Object)
	}
	return nil
}

// place distributes one table. Its rows are copied, and the copies that stay behind on the
// coordinator are removed. Our own trigger refuses that, so it is off for this statement, in
// a transaction that holds the table's lock.
func place(ctx context.Context, tx pgx.Tx, found *inspection, p placement, shards int) (DistributedTable, error) {
	if d := found.distribution.Table(p.table); d != nil {
		return DistributedTable{Name: p.table, Key: d.Key, Shards: d.Shards}, nil
	}
	table := DistributedTable{Name: p.table, Key: p.key, Shards: shards, Now: true}
	name := found.schema + "." + p.table
	// It keeps writers out, as what follows does, and is the lock to wait for.
	if _, err := tx.Exec(ctx, "LOCK TABLE "+name+" IN EXCLUSIVE MODE"); err != nil {
		return table, err
	}
	if err := tx.QueryRow(ctx, "SELECT pg_catalog.count(*) FROM "+name).Scan(&table.Moved); err != nil {
		return table, err
	}
	err := withoutInvalid(ctx, tx, name, func() error { return createDistributed(ctx, tx, name, p, &table, found) })
	if err != nil || table.Moved == 0 {
		return table, err
	}
	trigger := catalog.Guard(p.table, "truncate")
	for _, sql := range []string{
		"ALTER TABLE " + name + " DISABLE TRIGGER " + trigger,
		"SELECT pg_catalog.truncate_local_data_after_distributing_table('" + strings.ReplaceAll(name, "'", "''") + "'::regclass)",
		"ALTER TABLE " + name + " ENABLE ALWAYS TRIGGER " + trigger,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return table, err
		}
	}
	return table, nil
}

// createDistributed places the records, and then each other table next to them: what is sealed
// is found by a join that no row leaves its node for.
func createDistributed(ctx context.Context, tx pgx.Tx, name string, p placement, table *DistributedTable, found *inspection) error {
	var err error
	if p.table == catalog.Records {
		_, err = tx.Exec(ctx, "SELECT pg_catalog.create_distributed_table($1::text::regclass, $2, shard_count => $3, colocate_with => 'none')",
			pgx.QueryExecModeExec, name, p.key, table.Shards)
	} else {
		_, err = tx.Exec(ctx, "SELECT pg_catalog.create_distributed_table($1::text::regclass, $2, colocate_with => $3)",
			pgx.QueryExecModeExec, name, p.key, found.schema+"."+catalog.Records)
		if records := found.distribution.Table(catalog.Records); records != nil {
			table.Shards = records.Shards
		}
	}
	if err != nil {
		return err
	}
	return grantOnShards(ctx, tx, found, p.table)
}

// makeLeaves creates the table of what is sealed, as the owner's and with the rights that the
// tiles have. It is in a schema that only exists where rows are on workers.
func makeLeaves(ctx context.Context, tx pgx.Tx, found *inspection) error {
	name := found.schema + "." + clusterschema.LeavesTable
	var stands bool
	if err := tx.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1::text) IS NOT NULL", pgx.QueryExecModeExec, name).Scan(&stands); err != nil || stands {
		return err
	}
	statements := []string{"SET LOCAL search_path = " + found.schema + ", pg_catalog, pg_temp", clusterschema.Leaves(), "SET LOCAL search_path = pg_catalog, pg_temp"}
	records, tiles := found.trail.Table(catalog.Records), found.trail.Table(tilesTable)
	if records != nil && records.Owner != nil {
		statements = append(statements, "ALTER TABLE "+name+" OWNER TO "+records.Owner.Name)
	}
	for _, role := range rolesThat(tiles, "SELECT") {
		statements = append(statements, "GRANT SELECT ON TABLE "+name+" TO "+role)
	}
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("creating table %s: %w", name, explainDistribution(err))
		}
	}
	return nil
}

const tilesTable = "coordination_audit_seal_tiles"

// rolesThat lists the roles that have a privilege on a table, or on columns of it.
func rolesThat(table *catalog.Table, privilege string) (roles []string) {
	if table == nil {
		return nil
	}
	for _, grant := range table.Grants {
		if slices.ContainsFunc(grant.Privileges, func(p string) bool { return p == privilege || strings.HasPrefix(p, privilege+" (") }) {
			roles = append(roles, grant.Role)
		}
	}
	return roles
}

// grantOnShards lets the roles that may insert some columns store rows on the shards, which
// create_distributed_table does not: see [auditmigrate.ShardGrants].
func grantOnShards(ctx context.Context, tx pgx.Tx, found *inspection, table string) error {
	for role, columns := range insertableColumns(found.trail, table) {
		for _, sql := range auditmigrate.ShardGrants(found.schema+"."+table, role, strings.Join(columns, ", ")) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}

// insertableColumns are the columns that each role may set, if not all. Who may seal sets those of
// the table of what is sealed.
func insertableColumns(trail catalog.Schema, table string) map[string][]string {
	columns := map[string][]string{}
	of := trail.Table(table)
	if of == nil && table == clusterschema.LeavesTable {
		for _, role := range rolesThat(trail.Table(tilesTable), "INSERT") {
			columns[role] = []string{"row_id", "row_no", "epoch", "leaf_index", "kind"}
		}
		return columns
	}
	for _, grant := range of.Grants {
		for _, privilege := range grant.Privileges {
			if column, is := strings.CutPrefix(privilege, "INSERT ("); is {
				columns[grant.Role] = append(columns[grant.Role], strings.TrimSuffix(column, ")"))
			}
		}
	}
	return columns
}

// explainDistribution adds what a person can do about a refusal.
func explainDistribution(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch {
	case pgErr.Code == "42501":
		return fmt.Errorf("%w: run it as the owner of the tables", err)
	case pgErr.Code == "55P03":
		return fmt.Errorf("%w: %w: let the transactions on this table end, or wait longer by --lock-timeout (DistributeConfig.LockTimeout), and run it again", auditmigrate.ErrLocked, err)
	case strings.HasPrefix(pgErr.Code, "08"):
		return fmt.Errorf("%w: the coordinator must reach each worker as this role: check pg_hba.conf there, and that the role may log in", err)
	default:
		return err
	}
}
