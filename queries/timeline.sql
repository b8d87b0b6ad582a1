-- Lists a page of an envelope's timeline, oldest first: its own records, and those that name it as
-- the conflicting or the preempting envelope. Each branch reads a page from an index of its own; a
-- record that names the envelope twice is in two of them and comes once. To leave it out of the
-- second branch would be to read past all of them: an envelope may be rejected by itself for months.
-- name: ListTimeline :many
SELECT DISTINCT ON (decision_timestamp, seq) *
FROM (
    (
        SELECT *
        FROM coordination_audit_records
        WHERE envelope_id = @envelope_id::text
            AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
            AND decision_timestamp < @until::timestamptz
            AND (decision_timestamp, seq) > (@from_timestamp::timestamptz, @from_seq::bigint)
        ORDER BY
            decision_timestamp,
            seq
        LIMIT @page_size::integer
    )
    UNION ALL
    (
        SELECT *
        FROM coordination_audit_records
        WHERE conflicting_envelope_id = @envelope_id::text
            AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
            AND decision_timestamp < @until::timestamptz
            AND (decision_timestamp, seq) > (@from_timestamp::timestamptz, @from_seq::bigint)
        ORDER BY
            decision_timestamp,
            seq
        LIMIT @page_size::integer
    )
    UNION ALL
    (
        SELECT *
        FROM coordination_audit_records
        WHERE preempting_envelope_id = @envelope_id::text
            AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
            AND decision_timestamp < @until::timestamptz
            AND (decision_timestamp, seq) > (@from_timestamp::timestamptz, @from_seq::bigint)
        ORDER BY
            decision_timestamp,
            seq
        LIMIT @page_size::integer
    )
) AS named
ORDER BY
    decision_timestamp,
    seq
LIMIT @page_size::integer;
