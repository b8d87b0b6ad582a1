-- Lists a page of an envelope's timeline, oldest first: its own records, and those that name it as
-- the conflicting envelope or the preemptor. Each branch reads a page from an index of its own. A
-- record that names the envelope twice is in two branches and is returned once. Excluding it from
-- the second branch would mean reading past all such records, and an envelope may be rejected by
-- itself for months.
-- name: ListTimeline :many
SELECT DISTINCT ON (decision_timestamp, seq, audit_id) *
FROM (
    (
        SELECT *
        FROM coordination_audit_records
        WHERE envelope_id = @envelope_id::pg_catalog.text
            AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
            AND decision_timestamp <= @last::pg_catalog.timestamptz
            AND (decision_timestamp, seq, audit_id) >= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
        ORDER BY
            decision_timestamp,
            seq,
            audit_id
        LIMIT @page_size::integer
    )
    UNION ALL
    (
        SELECT *
        FROM coordination_audit_records
        WHERE conflicting_envelope_id = @envelope_id::pg_catalog.text
            AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
            AND decision_timestamp <= @last::pg_catalog.timestamptz
            AND (decision_timestamp, seq, audit_id) >= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
        ORDER BY
            decision_timestamp,
            seq,
            audit_id
        LIMIT @page_size::integer
    )
    UNION ALL
    (
        SELECT *
        FROM coordination_audit_records
        WHERE preempting_envelope_id = @envelope_id::pg_catalog.text
            AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
            AND decision_timestamp <= @last::pg_catalog.timestamptz
            AND (decision_timestamp, seq, audit_id) >= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
        ORDER BY
            decision_timestamp,
            seq,
            audit_id
        LIMIT @page_size::integer
    )
) AS named
ORDER BY
    decision_timestamp,
    seq,
    audit_id
LIMIT @page_size::integer;
