package doctor

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

type indexSize struct {
	Name     string `json:"name"`
	Bytes    int64  `json:"bytes"`
	Expected int64  `json:"expected"`
}

// sizesQuery estimates how large each B-tree would be after a REINDEX: an entry for each row
// that is in it, of the average width of its columns, in pages that are filled to 90 %. Equal
// keys that PostgreSQL merges make an index smaller than that. An index of expressions has
// statistics under its own name. Columns without statistics count as 8 bytes.
const sizesQuery = `
	SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name), '[]')::text
	FROM (
		SELECT
			pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
			pg_catalog.pg_relation_size(c.oid) AS bytes,
			(greatest(c.reltuples, 0) * (12 + 8 * pg_catalog.ceil(w.width / 8.0)) / 0.9)::bigint + 8192 AS expected
		FROM pg_catalog.pg_index AS i
		JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
		JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
		CROSS JOIN LATERAL (
			SELECT pg_catalog.sum(coalesce(s.avg_width, 8)) AS width
			FROM pg_catalog.pg_attribute AS a
			LEFT JOIN pg_catalog.pg_attribute AS b ON b.attrelid = i.indrelid AND b.attnum = i.indkey[a.attnum - 1]
			LEFT JOIN pg_catalog.pg_stats AS s
				ON s.schemaname = n.nspname
				AND (
					(s.tablename = t.relname AND s.attname = b.attname)
					OR (b.attname IS NULL AND s.tablename = c.relname AND s.attname = a.attname)
				)
			WHERE a.attrelid = c.oid AND a.attnum > 0
		) AS w
		WHERE i.indrelid = ANY ($1::text[]::regclass[])
			AND i.indisvalid
			AND c.reltuples > 0
	) AS x`

// checkIndexes adds to the guards which indexes take more room than they need.
func checkIndexes(ctx context.Context, x *examination) ([]Finding, error) {
	list, err := x.differences(ctx, false, "index")
	if err != nil {
		return list, err
	}
	var found []indexSize
	if err := x.ask(ctx, &found, sizesQuery, x.tables()); err != nil {
		return list, err
	}
	for _, index := range found {
		if index.Bytes < x.limits.bloatBytes || float64(index.Bytes) < x.limits.bloat*float64(index.Expected) {
			continue
		}
		list = append(list, Finding{
			Severity: Warning, Object: "index " + index.Name,
			Evidence: fmt.Sprintf("%s, and about %s if it were packed: %.0f %% are free space, which every read and backup carries along",
				format.Bytes(index.Bytes), format.Bytes(index.Expected), 100-100*float64(index.Expected)/float64(index.Bytes)),
			Repair: "REINDEX INDEX CONCURRENTLY " + index.Name + ";",
		})
	}
	return list, nil
}
