-- Stores one gap. It returns no row if the id is taken, which means that the same gap was recorded
-- before, or if a trigger discarded the row. Intact is false if a trigger changed what was stored.
-- name: PersistAuditGap :one
INSERT INTO coordination_audit_gaps (
    gap_id,
    dropped_safety,
    dropped_reliability,
    dropped_cost,
    dropped_performance,
    dropped_unknown,
    first_audit_id,
    last_audit_id,
    lost_from,
    lost_until,
    cause
)
VALUES (
    @gap_id,
    @dropped_safety,
    @dropped_reliability,
    @dropped_cost,
    @dropped_performance,
    @dropped_unknown,
    @first_audit_id,
    @last_audit_id,
    @lost_from,
    @lost_until,
    @cause
)
ON CONFLICT (gap_id) DO NOTHING
RETURNING
    (
        gap_id = @gap_id
        AND dropped_safety = @dropped_safety
        AND dropped_reliability = @dropped_reliability
        AND dropped_cost = @dropped_cost
        AND dropped_performance = @dropped_performance
        AND dropped_unknown = @dropped_unknown
        AND first_audit_id = @first_audit_id
        AND last_audit_id = @last_audit_id
        AND lost_from = @lost_from
        AND lost_until = @lost_until
        AND cause = @cause
    )::boolean AS intact,
    (current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::pg_catalog.text AS session;

-- Compares a gap with the one that is on record under its id.
-- name: CompareAuditGap :one
SELECT
    (
        gap_id = @gap_id
        AND dropped_safety = @dropped_safety
        AND dropped_reliability = @dropped_reliability
        AND dropped_cost = @dropped_cost
        AND dropped_performance = @dropped_performance
        AND dropped_unknown = @dropped_unknown
        AND first_audit_id = @first_audit_id
        AND last_audit_id = @last_audit_id
        AND lost_from = @lost_from
        AND lost_until = @lost_until
        AND cause = @cause
    )::boolean AS same
FROM coordination_audit_gaps
WHERE gap_id = @gap_id;

-- Lists the gaps that overlap a window, those that began last first. A window includes both ends,
-- and an open end is infinite. Nothing overlaps an empty window.
-- name: ListAuditGaps :many
SELECT *
FROM coordination_audit_gaps
WHERE lost_until >= @since::pg_catalog.timestamptz
    AND lost_from <= @last::pg_catalog.timestamptz
    AND @since::pg_catalog.timestamptz <= @last::pg_catalog.timestamptz
ORDER BY
    lost_from DESC,
    seq DESC,
    gap_id DESC
LIMIT @page_size::integer;
