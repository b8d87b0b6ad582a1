-- Validates the CHECKs of 00003, and replaces the indexes of 00002 by those that
-- the queries of the read side were measured with.
--
-- Why these: every question names a scope first. coalesce(tenant_id, '') is one
-- key for "this tenant" and "no tenant" alike (adopted rows may hold an empty
-- tenant where ours hold NULL), so that one query, and one plan, serves both. The
-- time index serves questions about all tenants. An envelope's timeline takes one
-- index for its own records and two partial ones for the records that name it;
-- few do, so these are small. seq makes each order total where times are equal.
--
-- Locks: SHARE UPDATE EXCLUSIVE, so reads and writes go on. Validating reads the
-- table once. Each build waits for the transactions that are open when it starts,
-- each drop for those that use the table. The indexes of 00002 go last: no query
-- is without one at any moment.
--
-- NO TRANSACTION, because CONCURRENTLY demands it. A build that was interrupted
-- leaves an invalid index behind, hence the DROP before each CREATE: running the
-- migration again mends it.

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
-- for a tenth of it to be new. Until then each tenant would pass for 0.5 % of the rows.
DO $$ BEGIN IF EXISTS (SELECT FROM coordination_audit_records) THEN ANALYZE coordination_audit_records; END IF; END $$;

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
