-- Gets the record under an id if the scope includes it. Rows adopted from the predecessor may
-- hold an empty tenant where ours hold NULL; both mean none.
-- name: GetAuditRecord :one
SELECT *
FROM coordination_audit_records
WHERE audit_id = @audit_id
    AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text);

-- Gets those of the records under the ids that the scope includes, in no order. Persisting asks
-- with all tenants: it must know what a taken id holds, whoever's it is.
-- name: GetAuditRecords :many
SELECT *
FROM coordination_audit_records
WHERE audit_id = ANY (@audit_ids::uuid[])
    AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text);
