-- Builds the indexes that the sealer follows: each table in the order of its rows.
--
-- Why: seq is the order of insertion. The sealer reads what was inserted after the last
-- sealed row, once a second or more often. Without an index, each round would read the
-- whole table. Verifying looks up single rows by it as well. Two rows may carry the same
-- seq after a restore that left the sequence behind, so the indexes are not unique.
--
-- Locks: SHARE UPDATE EXCLUSIVE, so reads and writes continue. Each build waits for the
-- transactions that are open when it starts.
--
-- NO TRANSACTION, because CONCURRENTLY requires it. An interrupted build leaves an
-- invalid index behind. The DROP before each CREATE removes it when the migration runs
-- again.

-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_seq_idx;
CREATE INDEX CONCURRENTLY coordination_audit_seq_idx
    ON coordination_audit_records (seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_gaps_seq_idx;
CREATE INDEX CONCURRENTLY coordination_audit_gaps_seq_idx
    ON coordination_audit_gaps (seq);

DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_statements_seq_idx;
CREATE INDEX CONCURRENTLY coordination_audit_statements_seq_idx
    ON coordination_audit_statements (seq);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_statements_seq_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_gaps_seq_idx;
DROP INDEX CONCURRENTLY IF EXISTS coordination_audit_seq_idx;
