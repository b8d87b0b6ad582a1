-- Gets the record under an id if the scope includes it. Rows adopted from the predecessor may hold
-- an empty tenant where ours hold NULL. Both mean no tenant.
-- name: GetAuditRecord :one
SELECT *
FROM coordination_audit_records
WHERE audit_id = @audit_id
    AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text);

-- Gets the records under the ids that the scope includes, in no particular order. Persisting uses
-- the scope of all tenants, because it must see the content of a taken id regardless of the tenant.
-- name: GetAuditRecords :many
SELECT *
FROM coordination_audit_records
WHERE audit_id = ANY (@audit_ids::pg_catalog.uuid[])
    AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text);
