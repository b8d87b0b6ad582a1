-- Stores one record. No row comes back if the id is taken, by this record or by another.
-- name: PersistAuditRecord :one
INSERT INTO coordination_audit_records (
    audit_id,
    envelope_id,
    envelope_class,
    decision,
    reason,
    decision_timestamp,
    conflicting_envelope_id,
    preempting_envelope_id,
    active_envelopes_count,
    tenant_id,
    target_subsystem,
    target_parameter,
    counterpart_class
)
VALUES (
    @audit_id,
    @envelope_id,
    @envelope_class,
    @decision,
    @reason,
    @decision_timestamp,
    sqlc.narg('conflicting_envelope_id'),
    sqlc.narg('preempting_envelope_id'),
    @active_envelopes_count,
    sqlc.narg('tenant_id'),
    sqlc.narg('target_subsystem'),
    sqlc.narg('target_parameter'),
    sqlc.narg('counterpart_class')
)
ON CONFLICT (audit_id) DO NOTHING
RETURNING
    seq,
    created_at;

-- Stores a batch in one statement, in the order of the arrays, which must be of equal length.
-- Ids that are taken are left out of the rows that come back. An array cannot hold a typed
-- NULL here, so an empty text stands for none.
-- name: PersistAuditRecords :many
INSERT INTO coordination_audit_records (
    audit_id,
    envelope_id,
    envelope_class,
    decision,
    reason,
    decision_timestamp,
    conflicting_envelope_id,
    preempting_envelope_id,
    active_envelopes_count,
    tenant_id,
    target_subsystem,
    target_parameter,
    counterpart_class
)
SELECT
    unnest(@audit_ids::uuid[]),
    unnest(@envelope_ids::text[]),
    unnest(@envelope_classes::text[]),
    unnest(@decisions::text[]),
    unnest(@reasons::text[]),
    unnest(@decision_timestamps::timestamptz[]),
    nullif(unnest(@conflicting_envelope_ids::text[]), ''),
    nullif(unnest(@preempting_envelope_ids::text[]), ''),
    unnest(@active_envelopes_counts::integer[]),
    nullif(unnest(@tenant_ids::text[]), ''),
    nullif(unnest(@target_subsystems::text[]), ''),
    nullif(unnest(@target_parameters::text[]), ''),
    nullif(unnest(@counterpart_classes::text[]), '')
ON CONFLICT (audit_id) DO NOTHING
RETURNING
    audit_id,
    seq,
    created_at;
