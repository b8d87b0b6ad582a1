-- Stores one record. It returns no row if the id is taken, by this record or by another, or if a
-- trigger discarded the row. Session is the settings of this very moment that an acknowledgement
-- rests on. Any user of the connection may have changed them since they were last asked for.
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
    counterpart_class,
    reason_code,
    policy_version,
    actor,
    caused_by,
    corrects,
    correlation_id,
    trace_id,
    span_id,
    details,
    source_id,
    source_seq
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
    sqlc.narg('counterpart_class'),
    sqlc.narg('reason_code'),
    sqlc.narg('policy_version'),
    sqlc.narg('actor'),
    sqlc.narg('caused_by'),
    sqlc.narg('corrects'),
    sqlc.narg('correlation_id'),
    sqlc.narg('trace_id')::pg_catalog.bytea,
    sqlc.narg('span_id')::pg_catalog.bytea,
    sqlc.narg('details')::pg_catalog.text::pg_catalog.jsonb,
    sqlc.narg('source_id'),
    sqlc.narg('source_seq')
)
ON CONFLICT (audit_id) DO NOTHING
RETURNING
    seq,
    created_at,
    (current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::pg_catalog.text AS session;

-- Stores a batch in one statement, in the order of the arrays. It returns no row for an id that is
-- taken. An array cannot hold a typed NULL here, so an empty or zero value stands for none. The
-- arrays up to counterpart_classes must be of equal length. Each later one may be empty instead,
-- which means none for the whole batch: where the arrays of a SELECT list differ in length, the
-- server fills up the shorter ones with NULL. So a batch that does not state a column does not send
-- it. Session is that of PersistAuditRecord, evaluated once.
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
    counterpart_class,
    reason_code,
    policy_version,
    actor,
    caused_by,
    corrects,
    correlation_id,
    trace_id,
    span_id,
    details,
    source_id,
    source_seq
)
SELECT
    unnest(@audit_ids::pg_catalog.uuid[]),
    unnest(@envelope_ids::pg_catalog.text[]),
    unnest(@envelope_classes::pg_catalog.text[]),
    unnest(@decisions::pg_catalog.text[]),
    unnest(@reasons::pg_catalog.text[]),
    unnest(@decision_timestamps::pg_catalog.timestamptz[]),
    nullif(unnest(@conflicting_envelope_ids::pg_catalog.text[]), ''),
    nullif(unnest(@preempting_envelope_ids::pg_catalog.text[]), ''),
    unnest(@active_envelopes_counts::integer[]),
    nullif(unnest(@tenant_ids::pg_catalog.text[]), ''),
    nullif(unnest(@target_subsystems::pg_catalog.text[]), ''),
    nullif(unnest(@target_parameters::pg_catalog.text[]), ''),
    nullif(unnest(@counterpart_classes::pg_catalog.text[]), ''),
    nullif(unnest(@reason_codes::pg_catalog.text[]), ''),
    nullif(unnest(@policy_versions::pg_catalog.text[]), ''),
    nullif(unnest(@actors::pg_catalog.text[]), ''),
    nullif(unnest(@causes::pg_catalog.uuid[]), '00000000-0000-0000-0000-000000000000'),
    nullif(unnest(@corrections::pg_catalog.uuid[]), '00000000-0000-0000-0000-000000000000'),
    nullif(unnest(@correlation_ids::pg_catalog.text[]), ''),
    nullif(unnest(@trace_ids::pg_catalog.bytea[]), ''),
    nullif(unnest(@span_ids::pg_catalog.bytea[]), ''),
    nullif(unnest(@details::pg_catalog.text[]), '')::pg_catalog.jsonb,
    nullif(unnest(@source_ids::pg_catalog.uuid[]), '00000000-0000-0000-0000-000000000000'),
    nullif(unnest(@source_seqs::bigint[]), 0)
ON CONFLICT (audit_id) DO NOTHING
RETURNING
    audit_id,
    seq,
    created_at,
    (SELECT current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::pg_catalog.text AS session;
