-- Replaces the predecessor's five single-column indexes by four that serve the
-- questions that the trail is asked.
--
-- Why these: nearly every question names a tenant, and then a time window or an
-- envelope; seq makes the order total where times are equal. The two partial ones
-- find the records that name an envelope as the other party, for its timeline;
-- few records name one, so they are small. Indexes on class and decision alone
-- (five and three values) served no query and cost every write.
--
-- Locks: SHARE UPDATE EXCLUSIVE, so reads and writes go on. Each build waits for
-- the transactions that are open when it starts.
--
-- NO TRANSACTION, because CONCURRENTLY demands it. A build that was interrupted
-- leaves an invalid index behind, hence the DROP before each CREATE: running the
-- migration again mends it.

-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_tenant_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_tenant_time_idx
    ON coordination_audit_records (tenant_id, decision_timestamp, seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_tenant_envelope_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_tenant_envelope_time_idx
    ON coordination_audit_records (tenant_id, envelope_id, decision_timestamp, seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_conflicting_idx;
CREATE INDEX CONCURRENTLY coordination_audit_conflicting_idx
    ON coordination_audit_records (conflicting_envelope_id, decision_timestamp, seq)
    WHERE conflicting_envelope_id IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_preempting_idx;
CREATE INDEX CONCURRENTLY coordination_audit_preempting_idx
    ON coordination_audit_records (preempting_envelope_id, decision_timestamp, seq)
    WHERE preempting_envelope_id IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS ix_coord_audit_envelope_id;
DROP INDEX CONCURRENTLY IF EXISTS ix_coord_audit_timestamp;
DROP INDEX CONCURRENTLY IF EXISTS ix_coord_audit_class;
DROP INDEX CONCURRENTLY IF EXISTS ix_coord_audit_decision;
DROP INDEX CONCURRENTLY IF EXISTS ix_coord_audit_tenant;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_preempting_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_conflicting_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_tenant_envelope_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_tenant_time_idx;
