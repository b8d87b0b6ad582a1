-- Counts a window's records by class and decision, with what else is known of each group.
-- name: CountByClassAndDecision :many
SELECT
    envelope_class,
    decision,
    count(*) AS records,
    min(decision_timestamp)::timestamptz AS first_seen,
    max(decision_timestamp)::timestamptz AS last_seen,
    max(active_envelopes_count)::integer AS max_active_envelopes
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND decision_timestamp >= @since::timestamptz
    AND decision_timestamp < @until::timestamptz
GROUP BY
    envelope_class,
    decision;

-- Counts a window's records by tenant; the empty text stands for none.
-- name: CountByTenant :many
SELECT
    coalesce(tenant_id, '')::text AS tenant_id,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND decision_timestamp >= @since::timestamptz
    AND decision_timestamp < @until::timestamptz
GROUP BY coalesce(tenant_id, '');

-- Counts a window's records by day, from midnight to midnight UTC, and class, in the days' order.
-- name: CountByDayAndClass :many
SELECT
    (date_trunc('day', decision_timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::timestamptz AS day,
    envelope_class,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND decision_timestamp >= @since::timestamptz
    AND decision_timestamp < @until::timestamptz
GROUP BY
    day,
    envelope_class
ORDER BY day;

-- Counts a window's records by reason, the most frequent ones only: reasons are free text, and
-- there may be as many as records.
-- name: CountByReason :many
SELECT
    reason,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND decision_timestamp >= @since::timestamptz
    AND decision_timestamp < @until::timestamptz
GROUP BY reason
ORDER BY
    records DESC,
    reason COLLATE "C"
LIMIT @max_reasons::integer;

-- Counts a window's records by class and by the parameter that was to be steered, where it is
-- stored.
-- name: CountByParameter :many
SELECT
    envelope_class,
    coalesce(target_subsystem, '')::text AS target_subsystem,
    coalesce(target_parameter, '')::text AS target_parameter,
    decision,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND decision_timestamp >= @since::timestamptz
    AND decision_timestamp < @until::timestamptz
    AND target_parameter IS NOT NULL
GROUP BY
    envelope_class,
    target_subsystem,
    target_parameter,
    decision;
