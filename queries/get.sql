-- Gets the record under an id if the scope includes it. Rows adopted from the predecessor may
-- hold an empty tenant where ours hold NULL; both mean none.
-- name: GetAuditRecord :one
SELECT *
FROM coordination_audit_records
WHERE audit_id = @audit_id
    AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text);

-- Gets the records that stand under the ids of a batch, whoever's they are: the other half of
-- persisting, which must know what a taken id holds.
-- name: GetAuditRecordsByID :many
SELECT *
FROM coordination_audit_records
WHERE audit_id = ANY (@audit_ids::uuid[]);
