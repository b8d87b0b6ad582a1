-- Stores one statement. It returns no row if the source has a statement of that number, or if a
-- trigger discarded the row. Intact is false if a trigger changed what was stored.
-- name: PersistAuditStatement :one
INSERT INTO coordination_audit_statements (
    source_id,
    statement_no,
    kind,
    accepted_through,
    reserved_through,
    dropped,
    rejected,
    already_persisted,
    waiting,
    waiting_continues,
    label
)
VALUES (
    @source_id,
    @statement_no,
    @kind,
    @accepted_through,
    @reserved_through,
    (@dropped::pg_catalog.text)::pg_catalog.int8multirange,
    (@rejected::pg_catalog.text)::pg_catalog.int8multirange,
    (@already_persisted::pg_catalog.text)::pg_catalog.int8multirange,
    (@waiting::pg_catalog.text)::pg_catalog.int8multirange,
    @waiting_continues,
    @label
)
ON CONFLICT (source_id, statement_no) DO NOTHING
RETURNING
    seq,
    made_at,
    (
        source_id = @source_id
        AND statement_no = @statement_no
        AND kind = @kind
        AND accepted_through = @accepted_through
        AND reserved_through = @reserved_through
        AND dropped = (@dropped::pg_catalog.text)::pg_catalog.int8multirange
        AND rejected = (@rejected::pg_catalog.text)::pg_catalog.int8multirange
        AND already_persisted = (@already_persisted::pg_catalog.text)::pg_catalog.int8multirange
        AND waiting = (@waiting::pg_catalog.text)::pg_catalog.int8multirange
        AND waiting_continues = @waiting_continues
        AND label = @label
    )::boolean AS intact,
    (current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::pg_catalog.text AS session;

-- Compares a statement with the one that the source has on record under its number. Sets of numbers
-- are compared as sets, however their ranges are written.
-- name: CompareAuditStatement :one
SELECT
    seq,
    made_at,
    (
        source_id = @source_id
        AND statement_no = @statement_no
        AND kind = @kind
        AND accepted_through = @accepted_through
        AND reserved_through = @reserved_through
        AND dropped = (@dropped::pg_catalog.text)::pg_catalog.int8multirange
        AND rejected = (@rejected::pg_catalog.text)::pg_catalog.int8multirange
        AND already_persisted = (@already_persisted::pg_catalog.text)::pg_catalog.int8multirange
        AND waiting = (@waiting::pg_catalog.text)::pg_catalog.int8multirange
        AND waiting_continues = @waiting_continues
        AND label = @label
    )::boolean AS same
FROM coordination_audit_statements
WHERE source_id = @source_id
    AND statement_no = @statement_no;

-- Gets the statement of a source that has the highest number.
-- name: LatestAuditStatement :one
SELECT
    source_id,
    statement_no,
    seq,
    kind,
    accepted_through,
    reserved_through,
    dropped::pg_catalog.text AS dropped,
    rejected::pg_catalog.text AS rejected,
    already_persisted::pg_catalog.text AS already_persisted,
    waiting::pg_catalog.text AS waiting,
    waiting_continues,
    label,
    made_at
FROM coordination_audit_statements
WHERE source_id = @source_id
ORDER BY statement_no DESC
LIMIT 1;
