-- Stores one gap. An id that is taken is that of the same gap, recorded before.
-- name: PersistAuditGap :exec
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
ON CONFLICT (gap_id) DO NOTHING;

-- Lists the gaps that share a moment with a window, the latest to begin first. A bound that is not
-- wanted is passed as one that no gap reaches; an empty window has no moment.
-- name: ListAuditGaps :many
SELECT *
FROM coordination_audit_gaps
WHERE lost_until >= @since::timestamptz
    AND lost_from < @until::timestamptz
    AND @since::timestamptz < @until::timestamptz
ORDER BY
    lost_from DESC,
    seq DESC
LIMIT @page_size::integer;
