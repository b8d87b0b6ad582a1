-- Validates the CHECKs of 00006, and builds the indexes that follow a link backwards:
-- what a record caused, and what corrects it.
--
-- Why these: caused_by and corrects hold primary keys, so following a link forwards
-- needs no index. One record may cause thousands, so its index also has the order of a
-- listing, and a page reads only its own records. Few records correct the same one, so
-- the other index has the link alone. Few records have a link at all, and the indexes
-- hold these only: a record without one costs nothing here.
--
-- The source has no index. Completeness reads the whole trail in one pass, and nothing
-- looks up a single ordinal.
--
-- Locks: SHARE UPDATE EXCLUSIVE, so reads and writes continue. Validation reads the
-- table once. Each build waits for the transactions that are open when it starts.
--
-- NO TRANSACTION, because CONCURRENTLY requires it. An interrupted build leaves an
-- invalid index behind. The DROP before each CREATE removes it when the migration runs
-- again.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_context_not_empty;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_links_to_others;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_trace_valid;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_span_valid;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_details_valid;
ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT coordination_audit_source_valid;

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_caused_by_time_idx;
CREATE INDEX CONCURRENTLY coordination_audit_caused_by_time_idx
    ON coordination_audit_records (caused_by, decision_timestamp, seq)
    WHERE caused_by IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_corrects_idx;
CREATE INDEX CONCURRENTLY coordination_audit_corrects_idx
    ON coordination_audit_records (corrects)
    WHERE corrects IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_corrects_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_caused_by_time_idx;
