package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Distribution is what Citus says of a database.
type Distribution struct {
	// Version is the version of the extension, "" without it.
	Version string `json:"version"`

	// Coordinator: the session is on the coordinator.
	Coordinator bool `json:"coordinator"`

	// Workers is the number of nodes that take shards.
	Workers int `json:"workers"`

	// Inactive are nodes that are known and not in use, as host:port.
	Inactive []string `json:"inactive"`

	// Tables are the distributed tables of the trail.
	Tables []Distributed `json:"tables"`

	// CachedConnections is citus.max_cached_conns_per_worker.
	CachedConnections int `json:"cached_connections"`
}

// Distributed is a table whose rows are on the workers.
type Distributed struct {
	Name   string `json:"name"`
	Method string `json:"method"` // h by a hash of Key, n is a reference table
	Key    string `json:"key"`    // the distribution column
	Shards int    `json:"shards"`
}

// Table returns the distributed table of a name, or nil.
func (d Distribution) Table(name string) *Distributed {
	for i := range d.Tables {
		if d.Tables[i].Name == name {
			return &d.Tables[i]
		}
	}
	return nil
}

// ReadDistribution reads how the tables of these names in a schema are distributed. It is the
// zero value where the extension is not there.
func ReadDistribution(ctx context.Context, tx pgx.Tx, schema string, tables []string) (d Distribution, err error) {
	const doing = "asking Citus"
	err = Query(ctx, tx, doing, &d.Version, `
		SELECT pg_catalog.to_jsonb(coalesce((SELECT e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'citus'), ''))::text`)
	if err != nil || d.Version == "" {
		return d, err
	}
	return d, Query(ctx, tx, doing, &d, `
		SELECT pg_catalog.jsonb_build_object(
			'coordinator', (SELECT g.groupid = 0 FROM pg_catalog.pg_dist_local_group AS g LIMIT 1),
			'workers', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_dist_node AS n WHERE n.noderole = 'primary' AND n.isactive AND n.shouldhaveshards),
			'inactive', (
				SELECT coalesce(pg_catalog.jsonb_agg(n.nodename || ':' || n.nodeport ORDER BY n.nodeid), '[]')
				FROM pg_catalog.pg_dist_node AS n
				WHERE n.noderole = 'primary' AND NOT n.isactive
			),
			'cached_connections', pg_catalog.current_setting('citus.max_cached_conns_per_worker')::int,
			'tables', (
				SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
					'name', c.relname,
					'method', p.partmethod,
					'key', coalesce(pg_catalog.column_to_column_name(p.logicalrelid, p.partkey), ''),
					'shards', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_dist_shard AS s WHERE s.logicalrelid = p.logicalrelid)
				) ORDER BY c.relname), '[]')
				FROM pg_catalog.pg_dist_partition AS p
				JOIN pg_catalog.pg_class AS c ON c.oid = p.logicalrelid
				JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
				WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])
			)
		)::text`, schema, tables)
}
