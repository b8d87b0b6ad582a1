-- Tells whether row-level security may hide records or statements from this role. Then nothing can
-- be said about what is missing.
-- name: HidesFromCompleteness :one
SELECT
    (
        row_security_active('coordination_audit_records')
        OR row_security_active('coordination_audit_statements')
    )::boolean AS hides,
    now()::pg_catalog.timestamptz AS at;

-- Reports whether this role may read what is expired. An older schema has no such table.
-- name: ReadsExpired :one
SELECT coalesce(has_table_privilege(to_regclass('coordination_audit_seal_events')::oid, 'SELECT'), false)::boolean AS reads;

-- Lists the ordinals of the records that have left for an archive, by source and batch.
-- name: ListExpiredOrdinals :many
SELECT
    source.key::pg_catalog.uuid AS source_id,
    source.value::pg_catalog.text AS ordinals
FROM coordination_audit_seal_events AS e
CROSS JOIN LATERAL jsonb_each_text(e.body::pg_catalog.jsonb -> 'sources') AS source
WHERE e.kind = 'expired'
ORDER BY e.seq;

-- Lists the statements of the given sources, and of those that have made one in a window, each
-- source's in the order of their numbers.
-- name: ListAuditStatements :many
SELECT
    source_id,
    statement_no,
    seq,
    kind,
    accepted_through,
    reserved_through,
    dropped::pg_catalog.text AS dropped,
    rejected::pg_catalog.text AS rejected,
    already_persisted::pg_catalog.text AS already_persisted,
    waiting::pg_catalog.text AS waiting,
    waiting_continues,
    label,
    made_at
FROM coordination_audit_statements
WHERE source_id = ANY (@sources::pg_catalog.uuid[])
    OR source_id IN (
        SELECT source_id
        FROM coordination_audit_statements
        WHERE made_at >= @since::pg_catalog.timestamptz
            AND made_at <= @last::pg_catalog.timestamptz
    )
ORDER BY
    source_id,
    statement_no;

-- Gathers the ordinals that rows carry, by source, in one pass over the table and without an index.
-- The rows are counted in buckets of 64 ordinals, each a bit of a bigint. A full bucket has every bit
-- and 64 rows. Full buckets become ranges, and the others are listed. The rows without a source come
-- together, under no source.
-- name: GatherOrdinals :many
WITH buckets AS (
    SELECT
        source_id,
        source_seq / 64 AS bucket,
        bit_or(1::bigint << (source_seq % 64)::integer) AS ordinals,
        count(*) AS records,
        min(created_at) AS first_created,
        max(created_at) AS last_created
    FROM coordination_audit_records
    GROUP BY
        source_id,
        source_seq / 64
)
SELECT
    source_id,
    sum(records)::bigint AS records,
    min(first_created)::pg_catalog.timestamptz AS first_created,
    max(last_created)::pg_catalog.timestamptz AS last_created,
    coalesce(range_agg(int8range(bucket, bucket + 1)) FILTER (WHERE ordinals = -1 AND records = 64), '{}')::pg_catalog.text AS full_buckets,
    coalesce(array_agg(bucket) FILTER (WHERE bucket IS NOT NULL AND (ordinals <> -1 OR records <> 64)), '{}')::bigint[] AS other_buckets,
    coalesce(array_agg(ordinals) FILTER (WHERE bucket IS NOT NULL AND (ordinals <> -1 OR records <> 64)), '{}')::bigint[] AS other_ordinals,
    coalesce(array_agg(records) FILTER (WHERE bucket IS NOT NULL AND (ordinals <> -1 OR records <> 64)), '{}')::bigint[] AS other_records
FROM buckets
GROUP BY source_id;

-- Lists the ordinals of a source that several rows carry, among those of the given buckets.
-- name: ListRepeatedOrdinals :many
SELECT source_seq::bigint AS source_seq
FROM coordination_audit_records
WHERE source_id = @source_id::pg_catalog.uuid
    AND source_seq / 64 = ANY (@buckets::bigint[])
GROUP BY source_seq
HAVING count(*) > 1
ORDER BY source_seq;
