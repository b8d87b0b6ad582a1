-- Replaces the predecessor's five single-column indexes with four that serve the
-- queries on the trail.
--
-- Why these: nearly every query names a tenant, and then a time window or an envelope.
-- seq makes the order total among equal times. The two partial indexes find the
-- records that name an envelope as the other party, for its timeline. Few records name
-- one, so they are small. Indexes on class and decision alone (five and three values)
-- served no query and slowed down every write.
--
-- Locks: SHARE UPDATE EXCLUSIVE, so reads and writes continue. Each build waits for
-- the transactions that are open when it starts.
--
-- NO TRANSACTION, because CONCURRENTLY requires it. An interrupted build leaves an
-- invalid index behind. The DROP before each CREATE removes it when the migration runs
-- again.

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
