-- Reads what an expiry rests on: the shortest age that the owner has set, whether the function may be
-- called, and whether the role that the guards pass owns it.
-- name: DescribeRetention :one
SELECT
    coalesce((
        SELECT (e.body::pg_catalog.jsonb ->> 'minimum_days')::integer
        FROM coordination_audit_seal_events AS e
        WHERE e.kind = 'retention set'
        ORDER BY e.seq DESC
        LIMIT 1
    ), 365)::integer AS minimum_days,
    clock_timestamp()::pg_catalog.timestamptz AS at,
    coalesce((
        SELECT pg_get_userbyid(p.proowner) = 'coordaudit_retention'
        FROM pg_catalog.pg_proc AS p
        WHERE p.oid = to_regprocedure('coordination_audit_sealed_through(bigint,bigint,bytea,int8multirange)')
    ), false)::boolean AS enabled;

-- Counts the records that an expiry is about. Those up to sealed_through and not awaited may be in a
-- full tile. A hold names what it stops, and a later event releases it.
-- name: PlanExpiry :one
WITH holds AS MATERIALIZED (
    SELECT
        placed.body::pg_catalog.jsonb ->> 'tenant_id' AS tenant_id,
        placed.body::pg_catalog.jsonb ->> 'envelope_id' AS envelope_id,
        placed.body::pg_catalog.jsonb ->> 'envelope_class' AS envelope_class,
        (placed.body::pg_catalog.jsonb ->> 'since')::pg_catalog.timestamptz AS since,
        (placed.body::pg_catalog.jsonb ->> 'until')::pg_catalog.timestamptz AS until
    FROM coordination_audit_seal_events AS placed
    WHERE placed.kind = 'hold placed'
        AND NOT EXISTS (
            SELECT 1
            FROM coordination_audit_seal_events AS released
            WHERE released.kind = 'hold released'
                AND released.body::pg_catalog.jsonb ->> 'hold_id' = placed.event_id::pg_catalog.text
        )
)
SELECT
    count(*) AS records,
    count(*) FILTER (WHERE r.seq > @sealed_through::bigint OR (@awaited::pg_catalog.text)::int8multirange @> r.seq) AS unsealed,
    count(*) FILTER (WHERE EXISTS (
        SELECT 1
        FROM holds AS h
        WHERE coalesce(h.tenant_id = r.tenant_id, h.tenant_id IS NULL)
            AND coalesce(h.envelope_id = r.envelope_id, h.envelope_id IS NULL)
            AND coalesce(h.envelope_class = r.envelope_class, h.envelope_class IS NULL)
            AND coalesce(h.since <= r.created_at, true)
            AND coalesce(h.until > r.created_at, true)
    )) AS held,
    coalesce(min(r.seq), 0)::bigint AS first_seq,
    coalesce(max(r.seq), 0)::bigint AS last_seq,
    min(r.created_at)::pg_catalog.timestamptz AS first_created,
    max(r.created_at)::pg_catalog.timestamptz AS last_created
FROM coordination_audit_records AS r
WHERE r.created_at < @before::pg_catalog.timestamptz
    AND (@every_tenant::boolean OR r.tenant_id IS NOT DISTINCT FROM sqlc.narg('only_tenant')::pg_catalog.text)
    AND (cardinality(@only_classes::pg_catalog.text[]) = 0 OR r.envelope_class = ANY (@only_classes::pg_catalog.text[]));

-- Lists the records of an expiry in ranges of seq, in the order of the leaf's columns, without those
-- that are held. OFFSET 0 is that of ListRecordsInRanges.
-- name: ListRecordsToArchive :many
WITH holds AS MATERIALIZED (
    SELECT
        placed.body::pg_catalog.jsonb ->> 'tenant_id' AS tenant_id,
        placed.body::pg_catalog.jsonb ->> 'envelope_id' AS envelope_id,
        placed.body::pg_catalog.jsonb ->> 'envelope_class' AS envelope_class,
        (placed.body::pg_catalog.jsonb ->> 'since')::pg_catalog.timestamptz AS since,
        (placed.body::pg_catalog.jsonb ->> 'until')::pg_catalog.timestamptz AS until
    FROM coordination_audit_seal_events AS placed
    WHERE placed.kind = 'hold placed'
        AND NOT EXISTS (
            SELECT 1
            FROM coordination_audit_seal_events AS released
            WHERE released.kind = 'hold released'
                AND released.body::pg_catalog.jsonb ->> 'hold_id' = placed.event_id::pg_catalog.text
        )
)
SELECT
    r.seq,
    r.audit_id,
    r.envelope_id,
    r.envelope_class,
    r.decision,
    r.reason,
    r.decision_timestamp,
    r.created_at,
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
    r.details,
    r.source_id,
    r.source_seq
FROM unnest((@ranges::pg_catalog.text)::int8multirange) AS range
CROSS JOIN LATERAL (
    SELECT *
    FROM coordination_audit_records
    WHERE seq >= lower(range)
        AND seq < upper(range)
    OFFSET 0
) AS r
WHERE r.created_at < @before::pg_catalog.timestamptz
    AND (@every_tenant::boolean OR r.tenant_id IS NOT DISTINCT FROM sqlc.narg('only_tenant')::pg_catalog.text)
    AND (cardinality(@only_classes::pg_catalog.text[]) = 0 OR r.envelope_class = ANY (@only_classes::pg_catalog.text[]))
    AND NOT EXISTS (
        SELECT 1
        FROM holds AS h
        WHERE coalesce(h.tenant_id = r.tenant_id, h.tenant_id IS NULL)
            AND coalesce(h.envelope_id = r.envelope_id, h.envelope_id IS NULL)
            AND coalesce(h.envelope_class = r.envelope_class, h.envelope_class IS NULL)
            AND coalesce(h.since <= r.created_at, true)
            AND coalesce(h.until > r.created_at, true)
    )
ORDER BY
    r.seq,
    r.audit_id;

-- Counts, of the archived records of a batch, those that the table holds and that its function would
-- take, and those that are held by now. The ranges come as numbers: a batch has thousands of them, and
-- their text would take the server longer to read than to look the records up.
-- name: CheckExpiryBatch :one
WITH holds AS MATERIALIZED (
    SELECT
        placed.body::pg_catalog.jsonb ->> 'tenant_id' AS tenant_id,
        placed.body::pg_catalog.jsonb ->> 'envelope_id' AS envelope_id,
        placed.body::pg_catalog.jsonb ->> 'envelope_class' AS envelope_class,
        (placed.body::pg_catalog.jsonb ->> 'since')::pg_catalog.timestamptz AS since,
        (placed.body::pg_catalog.jsonb ->> 'until')::pg_catalog.timestamptz AS until
    FROM coordination_audit_seal_events AS placed
    WHERE placed.kind = 'hold placed'
        AND NOT EXISTS (
            SELECT 1
            FROM coordination_audit_seal_events AS released
            WHERE released.kind = 'hold released'
                AND released.body::pg_catalog.jsonb ->> 'hold_id' = placed.event_id::pg_catalog.text
        )
)
SELECT
    count(*) AS records,
    count(*) FILTER (WHERE EXISTS (
        SELECT 1
        FROM holds AS h
        WHERE coalesce(h.tenant_id = r.tenant_id, h.tenant_id IS NULL)
            AND coalesce(h.envelope_id = r.envelope_id, h.envelope_id IS NULL)
            AND coalesce(h.envelope_class = r.envelope_class, h.envelope_class IS NULL)
            AND coalesce(h.since <= r.created_at, true)
            AND coalesce(h.until > r.created_at, true)
    )) AS held
FROM (SELECT unnest(@firsts::bigint[]) AS first, unnest(@lasts::bigint[]) AS last) AS among
CROSS JOIN LATERAL (
    SELECT
        envelope_id,
        envelope_class,
        created_at,
        tenant_id
    FROM coordination_audit_records
    WHERE seq >= among.first
        AND seq <= among.last
    OFFSET 0
) AS r
WHERE r.created_at < @before::pg_catalog.timestamptz
    AND (@every_tenant::boolean OR r.tenant_id IS NOT DISTINCT FROM sqlc.narg('only_tenant')::pg_catalog.text)
    AND (cardinality(@only_classes::pg_catalog.text[]) = 0 OR r.envelope_class = ANY (@only_classes::pg_catalog.text[]));

-- Puts a batch on record, and takes its records out of the table. See the function.
-- name: ExpireBatch :one
SELECT coordination_audit_expire(
    @archive::pg_catalog.text,
    @batch::integer,
    @batches::integer,
    @log_epoch::bigint,
    @log_size::bigint,
    @log_root::bytea,
    @every_tenant::boolean,
    sqlc.narg('only_tenant')::pg_catalog.text,
    @only_classes::pg_catalog.text[],
    @before::pg_catalog.timestamptz,
    (
        SELECT range_agg(int8range(among.first, among.last, '[]'))
        FROM (SELECT unnest(@firsts::bigint[]) AS first, unnest(@lasts::bigint[]) AS last) AS among
    ),
    @expected::bigint
)::bigint AS seq;

-- Lists the expired batches, without what they hold. OFFSET 0 keeps each body from being read once for
-- each column.
-- name: ListExpiries :many
SELECT
    e.seq,
    e.event_id,
    (e.body ->> 'archive')::pg_catalog.text AS archive,
    (e.body ->> 'first_seq')::bigint AS first_seq,
    (e.body ->> 'last_seq')::bigint AS last_seq,
    (e.body ->> 'records')::bigint AS records
FROM (
    SELECT
        seq,
        event_id,
        body::pg_catalog.jsonb AS body
    FROM coordination_audit_seal_events
    WHERE kind = 'expired'
    OFFSET 0
) AS e
ORDER BY e.seq;

-- Lists the seqs of expired batches.
-- name: ListExpiredSeqs :many
SELECT
    e.seq,
    (e.body::pg_catalog.jsonb ->> 'seqs')::pg_catalog.text AS seqs
FROM coordination_audit_seal_events AS e
WHERE e.seq = ANY (@events::bigint[])
    AND e.kind = 'expired';

-- Lists those of the given events of a kind that are on record, with the seqs that an expiry names.
-- Another event names none.
-- name: ListKnownEvents :many
SELECT
    e.event_id,
    coalesce(CASE WHEN e.kind = 'expired' THEN e.body::pg_catalog.jsonb ->> 'seqs' END, '')::pg_catalog.text AS seqs
FROM coordination_audit_seal_events AS e
WHERE e.event_id = ANY (@event_ids::pg_catalog.uuid[])
    AND e.kind = @kind::pg_catalog.text;

-- Lists the holds as an expiry reads them, and their first releases.
-- name: ListHolds :many
SELECT
    placed.event_id AS hold_id,
    coalesce(placed.body::pg_catalog.jsonb ->> 'tenant_id', '')::pg_catalog.text AS tenant_id,
    coalesce(placed.body::pg_catalog.jsonb ->> 'envelope_id', '')::pg_catalog.text AS envelope_id,
    coalesce(placed.body::pg_catalog.jsonb ->> 'envelope_class', '')::pg_catalog.text AS envelope_class,
    (placed.body::pg_catalog.jsonb ->> 'since')::pg_catalog.timestamptz AS since,
    (placed.body::pg_catalog.jsonb ->> 'until')::pg_catalog.timestamptz AS until,
    coalesce(placed.body::pg_catalog.jsonb ->> 'why', '')::pg_catalog.text AS why,
    coalesce(placed.body::pg_catalog.jsonb ->> 'by', '')::pg_catalog.text AS placed_by,
    placed.made_at AS placed_at,
    coalesce(released.body::pg_catalog.jsonb ->> 'why', '')::pg_catalog.text AS released_why,
    coalesce(released.body::pg_catalog.jsonb ->> 'by', '')::pg_catalog.text AS released_by,
    released.made_at AS released_at
FROM coordination_audit_seal_events AS placed
LEFT JOIN LATERAL (
    SELECT
        body,
        made_at
    FROM coordination_audit_seal_events
    WHERE kind = 'hold released'
        AND body::pg_catalog.jsonb ->> 'hold_id' = placed.event_id::pg_catalog.text
    ORDER BY seq
    LIMIT 1
) AS released ON true
WHERE placed.kind = 'hold placed'
ORDER BY placed.seq;

-- name: PlaceHold :one
SELECT coordination_audit_place_hold(
    sqlc.narg('tenant_id')::pg_catalog.text,
    sqlc.narg('envelope_id')::pg_catalog.text,
    sqlc.narg('envelope_class')::pg_catalog.text,
    sqlc.narg('since')::pg_catalog.timestamptz,
    sqlc.narg('until')::pg_catalog.timestamptz,
    @why::pg_catalog.text
)::pg_catalog.uuid AS hold_id;

-- name: ReleaseHold :one
SELECT coordination_audit_release_hold(@hold_id::pg_catalog.uuid, @why::pg_catalog.text)::boolean AS released;

-- Replaces a text by its digest, and puts that on record. See the function.
-- name: EraseText :one
SELECT coordination_audit_erase(
    @audit_id::pg_catalog.uuid,
    @which::pg_catalog.text,
    @log_epoch::bigint,
    @log_size::bigint,
    @log_root::bytea,
    @why::pg_catalog.text
)::bigint AS seq;
