-- Creates the table that says what is sealed of a trail on a Citus cluster. It is no migration:
-- auditadmin.Distribute runs it, and a trail on one server does not have it. sqlc reads it next to
-- the migrations.
--
-- A leaf of the log has a row here, with its place in the log: what has no row is not sealed yet.
-- row_id is an audit_id, a gap_id, a source_id (then row_no is the statement_no) or an event_id, and
-- its hash decides on the shard, so the row stands next to the one that is sealed. kind is that of the
-- leaf. Kind 0 is a leaf whose row had expired before the trail was distributed.
--
-- The table holds no sequence of its own: a leaf and its tile are one transaction.
CREATE TABLE coordination_audit_seal_leaves (
    row_id     uuid     NOT NULL,
    row_no     bigint   NOT NULL,
    epoch      bigint   NOT NULL,
    leaf_index bigint   NOT NULL,
    kind       smallint NOT NULL,
    PRIMARY KEY (row_id, kind, row_no, epoch)
);

ALTER TABLE coordination_audit_seal_leaves ADD CONSTRAINT coordination_audit_seal_leaves_place_valid
    CHECK (epoch >= 1 AND leaf_index >= 0 AND kind BETWEEN 0 AND 4);

-- Followers and verification read in the order of the log.
CREATE INDEX coordination_audit_seal_leaves_place_idx
    ON coordination_audit_seal_leaves (epoch, leaf_index);

CREATE TRIGGER coordination_audit_seal_leaves_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_seal_leaves
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();
CREATE TRIGGER coordination_audit_seal_leaves_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_seal_leaves
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

ALTER TABLE coordination_audit_seal_leaves ENABLE ALWAYS TRIGGER coordination_audit_seal_leaves_refuse_update_delete;
ALTER TABLE coordination_audit_seal_leaves ENABLE ALWAYS TRIGGER coordination_audit_seal_leaves_refuse_truncate;
