-- Validates the CHECKs of 00003, and replaces the indexes of 00002 with those that the
-- queries of the read side were measured with.
--
-- Why these: every query names a scope first. coalesce(tenant_id, '') is one key for
-- both "this tenant" and "no tenant" (adopted rows may hold an empty tenant where ours
-- hold NULL), so one query, and one plan, serves both. The time index serves queries
-- about all tenants. An envelope's timeline uses one index for its own records and two
-- partial ones for the records that name it. Few records do, so these are small. seq
-- makes each order total among equal times.
--
-- Locks: SHARE UPDATE EXCLUSIVE, so reads and writes continue. Validation reads the
-- table once. Each build waits for the transactions that are open when it starts, and
-- each drop for those that use the table. The indexes of 00002 are dropped last, so no
-- query is ever without one.
--
-- NO TRANSACTION, because CONCURRENTLY requires it. An interrupted build leaves an
-- invalid index behind. The DROP before each CREATE removes it when the migration runs
-- again.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_target_not_empty;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_counterpart_class_valid;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_counterpart_has_an_id;

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_time_idx
    ON coordination_audit_records (decision_timestamp, seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_scope_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_scope_time_idx
    ON coordination_audit_records ((coalesce(tenant_id, '')), decision_timestamp, seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_envelope_scope_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_envelope_scope_time_idx
    ON coordination_audit_records (envelope_id, (coalesce(tenant_id, '')), decision_timestamp, seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_conflicting_scope_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_conflicting_scope_time_idx
    ON coordination_audit_records (conflicting_envelope_id, (coalesce(tenant_id, '')), decision_timestamp, seq)
    WHERE conflicting_envelope_id IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_preempting_scope_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_preempting_scope_time_idx
    ON coordination_audit_records (preempting_envelope_id, (coalesce(tenant_id, '')), decision_timestamp, seq)
    WHERE preempting_envelope_id IS NOT NULL;

-- An expression has no statistics until the table is analyzed, and autovacuum waits
-- until a tenth of it is new. Until then the planner assumes 0.5 % of the rows for
-- each tenant.
DO $$ BEGIN IF EXISTS (SELECT 1 FROM coordination_audit_records) THEN ANALYZE coordination_audit_records; END IF; END $$;

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_tenant_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_tenant_envelope_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_conflicting_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_preempting_idx;

-- +goose Down
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

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_preempting_scope_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_conflicting_scope_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_envelope_scope_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_scope_time_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_time_idx;
