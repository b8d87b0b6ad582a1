-- A window includes its end, which is infinite if the window is open.

-- Counts a window's records by class and decision, with more facts about each group.
-- name: CountByClassAndDecision :many
SELECT
    envelope_class,
    decision,
    count(*) AS records,
    min(decision_timestamp)::pg_catalog.timestamptz AS first_seen,
    max(decision_timestamp)::pg_catalog.timestamptz AS last_seen,
    max(active_envelopes_count)::integer AS max_active_envelopes
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
GROUP BY
    envelope_class,
    decision;

-- Counts a window's records by tenant. The empty text stands for no tenant.
-- name: CountByTenant :many
SELECT
    coalesce(tenant_id, '')::pg_catalog.text AS tenant_id,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
GROUP BY coalesce(tenant_id, '');

-- Counts a window's records by class and day, from midnight to midnight UTC, in the order of the
-- days. An infinite time is a day of its own.
-- name: CountByDayAndClass :many
SELECT
    (date_trunc('day', decision_timestamp AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::pg_catalog.timestamptz AS day,
    envelope_class,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
GROUP BY
    day,
    envelope_class
ORDER BY day;

-- Counts a window's records by reason. It returns the most frequent reasons only, because reasons
-- are free text, and each record may have another one.
-- name: CountByReason :many
SELECT
    reason,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
GROUP BY reason
ORDER BY
    records DESC,
    reason COLLATE "C"
LIMIT @max_reasons::integer;

-- Counts a window's records by reason code and decision. It returns the most frequent codes only.
-- Records without one are left out. All_records counts the others, those of the rarer codes included.
-- name: CountByReasonCode :many
WITH counted AS MATERIALIZED (
    SELECT
        reason_code,
        decision,
        count(*) AS records
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND reason_code <> ''
    GROUP BY
        reason_code,
        decision
),
summed AS (
    SELECT
        c.*,
        sum(c.records) OVER (PARTITION BY c.reason_code) AS of_code,
        sum(c.records) OVER () AS all_records
    FROM counted AS c
),
ranked AS (
    SELECT
        s.*,
        dense_rank() OVER (ORDER BY s.of_code DESC, s.reason_code COLLATE "C") AS place
    FROM summed AS s
)
SELECT
    r.reason_code::pg_catalog.text AS reason_code,
    r.decision::pg_catalog.text AS decision,
    r.records::bigint AS records,
    r.all_records::bigint AS all_records
FROM ranked AS r
WHERE r.place <= @max_reason_codes::bigint
ORDER BY r.place;

-- Counts a window's records by class and by the parameter that the envelope wanted to change.
-- Records without one are left out.
-- name: CountByParameter :many
SELECT
    envelope_class,
    coalesce(target_subsystem, '')::pg_catalog.text AS target_subsystem,
    coalesce(target_parameter, '')::pg_catalog.text AS target_parameter,
    decision,
    count(*) AS records
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
    AND target_parameter IS NOT NULL
GROUP BY
    envelope_class,
    target_subsystem,
    target_parameter,
    decision;
