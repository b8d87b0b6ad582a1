-- The queries of an explanation. Each one reads a bounded number of rows through an index. They look
-- for the records of one envelope of one tenant, and the tenant is that of the explained record. So
-- they show nothing of another tenant, also to a reader of all tenants.
--
-- A position is (decision_timestamp, seq, audit_id), as in a listing.

-- Lists the APPLIED records of an envelope that are nearest to a position: the first one after it and
-- the last one before it, both within bounds.
-- name: ListNearestApplied :many
SELECT *
FROM (
    (
        SELECT *
        FROM coordination_audit_records
        WHERE envelope_id = @envelope_id::pg_catalog.text
            AND coalesce(tenant_id, '') = @tenant_id::pg_catalog.text
            AND decision = 'APPLIED'
            AND decision_timestamp <= @last::pg_catalog.timestamptz
            AND (decision_timestamp, seq, audit_id) > (@at_timestamp::pg_catalog.timestamptz, @at_seq::bigint, @at_audit_id::pg_catalog.uuid)
        ORDER BY
            decision_timestamp,
            seq,
            audit_id
        LIMIT 1
    )
    UNION ALL
    (
        SELECT *
        FROM coordination_audit_records
        WHERE envelope_id = @envelope_id::pg_catalog.text
            AND coalesce(tenant_id, '') = @tenant_id::pg_catalog.text
            AND decision = 'APPLIED'
            AND decision_timestamp >= @since::pg_catalog.timestamptz
            AND (decision_timestamp, seq, audit_id) < (@at_timestamp::pg_catalog.timestamptz, @at_seq::bigint, @at_audit_id::pg_catalog.uuid)
        ORDER BY
            decision_timestamp DESC,
            seq DESC,
            audit_id DESC
        LIMIT 1
    )
) AS nearest
ORDER BY
    decision_timestamp,
    seq,
    audit_id;

-- Gets the latest APPLIED or PREEMPTED record of an envelope before a position, among its latest
-- max_rows records there. An envelope may be rejected for months.
-- name: GetLatestMove :one
SELECT *
FROM (
    SELECT *
    FROM coordination_audit_records
    WHERE envelope_id = @envelope_id::pg_catalog.text
        AND coalesce(tenant_id, '') = @tenant_id::pg_catalog.text
        AND (decision_timestamp, seq, audit_id) < (@at_timestamp::pg_catalog.timestamptz, @at_seq::bigint, @at_audit_id::pg_catalog.uuid)
    ORDER BY
        decision_timestamp DESC,
        seq DESC,
        audit_id DESC
    LIMIT @max_rows::integer
) AS latest
WHERE decision IN ('APPLIED', 'PREEMPTED')
ORDER BY
    decision_timestamp DESC,
    seq DESC,
    audit_id DESC
LIMIT 1;

-- Gets the next APPLIED or PREEMPTED record of an envelope after a position, among its next max_rows
-- records.
-- name: GetNextMove :one
SELECT *
FROM (
    SELECT *
    FROM coordination_audit_records
    WHERE envelope_id = @envelope_id::pg_catalog.text
        AND coalesce(tenant_id, '') = @tenant_id::pg_catalog.text
        AND (decision_timestamp, seq, audit_id) > (@at_timestamp::pg_catalog.timestamptz, @at_seq::bigint, @at_audit_id::pg_catalog.uuid)
    ORDER BY
        decision_timestamp,
        seq,
        audit_id
    LIMIT @max_rows::integer
) AS following
WHERE decision IN ('APPLIED', 'PREEMPTED')
ORDER BY
    decision_timestamp,
    seq,
    audit_id
LIMIT 1;

-- Counts the conflicts of two envelopes in a window, by who lost and how. It looks through the
-- latest max_rows records of each, and says how many these were.
-- name: CountMeetings :one
SELECT
    count(*) FILTER (WHERE lost = 1 AND decision = 'PREEMPTED' AND preempting_envelope_id = @other_id::pg_catalog.text) AS preempted,
    count(*) FILTER (WHERE lost = 1 AND decision = 'REJECTED' AND conflicting_envelope_id = @other_id::pg_catalog.text) AS rejected,
    count(*) FILTER (WHERE lost = 2 AND decision = 'PREEMPTED' AND preempting_envelope_id = @envelope_id::pg_catalog.text) AS preempted_other,
    count(*) FILTER (WHERE lost = 2 AND decision = 'REJECTED' AND conflicting_envelope_id = @envelope_id::pg_catalog.text) AS rejected_other,
    count(*) FILTER (WHERE lost = 1) AS own_rows,
    count(*) FILTER (WHERE lost = 2) AS other_rows
FROM (
    (
        SELECT
            1 AS lost,
            decision,
            conflicting_envelope_id,
            preempting_envelope_id
        FROM coordination_audit_records
        WHERE envelope_id = @envelope_id::pg_catalog.text
            AND coalesce(tenant_id, '') = @tenant_id::pg_catalog.text
            AND decision_timestamp >= @since::pg_catalog.timestamptz
            AND decision_timestamp <= @last::pg_catalog.timestamptz
        ORDER BY
            decision_timestamp DESC,
            seq DESC
        LIMIT @max_rows::integer
    )
    UNION ALL
    (
        SELECT
            2,
            decision,
            conflicting_envelope_id,
            preempting_envelope_id
        FROM coordination_audit_records
        WHERE envelope_id = @other_id::pg_catalog.text
            AND coalesce(tenant_id, '') = @tenant_id::pg_catalog.text
            AND decision_timestamp >= @since::pg_catalog.timestamptz
            AND decision_timestamp <= @last::pg_catalog.timestamptz
        ORDER BY
            decision_timestamp DESC,
            seq DESC
        LIMIT @max_rows::integer
    )
) AS met;

-- Tells which accounts of missing records this role may read. Where row-level security hides
-- records or statements, nothing can be said about ordinals.
-- name: MayReadLosses :one
SELECT
    coalesce(has_table_privilege(to_regclass('coordination_audit_gaps'), 'SELECT'), false)::boolean AS gaps,
    (
        coalesce(has_table_privilege(to_regclass('coordination_audit_statements'), 'SELECT'), false)
        AND NOT coalesce(row_security_active(to_regclass('coordination_audit_records')), true)
        AND NOT coalesce(row_security_active(to_regclass('coordination_audit_statements')), true)
    )::boolean AS ordinals;

-- Lists which ordinals of a source are carried by the rows that were stored around a row.
-- name: ListOrdinalsAround :many
SELECT source_seq::bigint AS source_seq
FROM coordination_audit_records
WHERE seq >= @first_seq::bigint
    AND seq <= @last_seq::bigint
    AND source_id = @source_id::pg_catalog.uuid
    AND source_seq >= @first_ordinal::bigint
    AND source_seq <= @last_ordinal::bigint;

-- Gathers what the latest max_statements statements of a source say of a range of ordinals:
-- those that never come, and those that were waiting once and may have come later.
-- name: GatherStatementsAround :one
SELECT
    count(*) AS statements,
    coalesce(min(statement_no), 0)::bigint AS first_statement_no,
    coalesce(max(accepted_through), 0)::bigint AS accepted_through,
    coalesce(bool_or(kind = 'imported'), false)::boolean AS imported,
    coalesce(array_agg(explained::pg_catalog.text) FILTER (WHERE NOT isempty(explained)), '{}')::pg_catalog.text[] AS explained
FROM (
    SELECT
        statement_no,
        accepted_through,
        kind,
        (dropped + rejected + already_persisted + waiting) * (@ordinals::pg_catalog.text)::pg_catalog.int8multirange AS explained
    FROM coordination_audit_statements
    WHERE source_id = @source_id::pg_catalog.uuid
    ORDER BY statement_no DESC
    LIMIT @max_statements::integer
) AS latest;
