-- Sealing and following on a Citus cluster, where a row may be committed below any seq. What is sealed
-- has a row in coordination_audit_seal_leaves, which stands on the same node. Each statement here is
-- answered by all shards at once, or by one.

-- Reads whether this session can seal a distributed trail.
-- name: DescribeClusterSealing :one
SELECT
    pg_is_in_recovery() AS in_recovery,
    current_setting('transaction_isolation')::pg_catalog.text AS isolation,
    (
        has_sequence_privilege(pg_get_serial_sequence('coordination_audit_records', 'seq'), 'SELECT')
        AND has_sequence_privilege(pg_get_serial_sequence('coordination_audit_gaps', 'seq'), 'SELECT')
        AND has_sequence_privilege(pg_get_serial_sequence('coordination_audit_statements', 'seq'), 'SELECT')
        AND has_sequence_privilege(pg_get_serial_sequence('coordination_audit_seal_events', 'seq'), 'SELECT')
    )::boolean AS reads_sequences,
    ARRAY(
        SELECT c.relname::pg_catalog.text
        FROM pg_catalog.pg_class AS c
        WHERE c.relpersistence = 'u'
            AND c.oid IN (
                'coordination_audit_records'::regclass,
                'coordination_audit_gaps'::regclass,
                'coordination_audit_statements'::regclass,
                'coordination_audit_seal_tiles'::regclass,
                'coordination_audit_seal_checkpoints'::regclass,
                'coordination_audit_seal_events'::regclass
            )
        ORDER BY c.relname
    )::pg_catalog.text[] AS unlogged;

-- Reports whether the rows of the table of what is sealed are on the workers.
-- name: HasSealLeaves :one
SELECT EXISTS (
    SELECT 1
    FROM pg_catalog.pg_trigger AS g
    JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
    WHERE g.tgrelid = to_regclass('coordination_audit_seal_leaves')
        AND g.tgisinternal
        AND p.proname = 'citus_truncate_trigger'
)::boolean AS distributed;

-- Finds the first record from a seq on that is not sealed.
-- name: NextUnsealedRecord :one
SELECT
    (count(*) > 0)::boolean AS found,
    coalesce(min(r.seq), 0)::bigint AS seq
FROM coordination_audit_records AS r
WHERE r.seq >= @first::bigint
    AND NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_leaves AS l
        WHERE l.row_id = r.audit_id
            AND l.kind = 1
            AND l.row_no = 0
            AND l.epoch = @epoch::bigint
    );

-- name: NextUnsealedGap :one
SELECT
    (count(*) > 0)::boolean AS found,
    coalesce(min(g.seq), 0)::bigint AS seq
FROM coordination_audit_gaps AS g
WHERE g.seq >= @first::bigint
    AND NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_leaves AS l
        WHERE l.row_id = g.gap_id
            AND l.kind = 2
            AND l.row_no = 0
            AND l.epoch = @epoch::bigint
    );

-- name: NextUnsealedStatement :one
SELECT
    (count(*) > 0)::boolean AS found,
    coalesce(min(s.seq), 0)::bigint AS seq
FROM coordination_audit_statements AS s
WHERE s.seq >= @first::bigint
    AND NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_leaves AS l
        WHERE l.row_id = s.source_id
            AND l.kind = 3
            AND l.row_no = s.statement_no
            AND l.epoch = @epoch::bigint
    );

-- Lists records that are not sealed within a range of seqs, in the order of the leaf's columns.
-- name: ListUnsealedRecords :many
SELECT
    r.seq,
    r.audit_id,
    r.envelope_id,
    r.envelope_class,
    r.decision,
    r.reason,
    r.decision_timestamp,
    r.created_at,
    r.conflicting_envelope_id,
    r.preempting_envelope_id,
    r.active_envelopes_count,
    r.tenant_id,
    r.target_subsystem,
    r.target_parameter,
    r.counterpart_class,
    r.reason_code,
    r.policy_version,
    r.actor,
    r.caused_by,
    r.corrects,
    r.correlation_id,
    r.trace_id,
    r.span_id,
    r.details,
    r.source_id,
    r.source_seq
FROM coordination_audit_records AS r
WHERE r.seq >= @first::bigint
    AND r.seq <= @last::bigint
    AND NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_leaves AS l
        WHERE l.row_id = r.audit_id
            AND l.kind = 1
            AND l.row_no = 0
            AND l.epoch = @epoch::bigint
    )
ORDER BY
    r.seq,
    r.audit_id;

-- name: ListUnsealedGaps :many
SELECT
    g.seq,
    g.gap_id,
    g.dropped_safety,
    g.dropped_reliability,
    g.dropped_cost,
    g.dropped_performance,
    g.dropped_unknown,
    g.first_audit_id,
    g.last_audit_id,
    g.lost_from,
    g.lost_until,
    g.cause,
    g.recorded_at
FROM coordination_audit_gaps AS g
WHERE g.seq >= @first::bigint
    AND g.seq <= @last::bigint
    AND NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_leaves AS l
        WHERE l.row_id = g.gap_id
            AND l.kind = 2
            AND l.row_no = 0
            AND l.epoch = @epoch::bigint
    )
ORDER BY
    g.seq,
    g.gap_id;

-- name: ListUnsealedStatements :many
SELECT
    s.seq,
    s.source_id,
    s.statement_no,
    s.kind,
    s.accepted_through,
    s.reserved_through,
    s.dropped,
    s.rejected,
    s.already_persisted,
    s.waiting,
    s.waiting_continues,
    s.label,
    s.made_at
FROM coordination_audit_statements AS s
WHERE s.seq >= @first::bigint
    AND s.seq <= @last::bigint
    AND NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_leaves AS l
        WHERE l.row_id = s.source_id
            AND l.kind = 3
            AND l.row_no = s.statement_no
            AND l.epoch = @epoch::bigint
    )
ORDER BY
    s.seq,
    s.source_id,
    s.statement_no;

-- Stores which rows are leaves, in the transaction of their tiles. A row that is sealed already is an
-- error.
-- name: PersistLeaves :exec
INSERT INTO coordination_audit_seal_leaves (
    row_id,
    row_no,
    epoch,
    leaf_index,
    kind
)
SELECT
    unnest(@row_ids::pg_catalog.uuid[]),
    unnest(@row_nos::bigint[]),
    @epoch::bigint,
    unnest(@leaf_indexes::bigint[]),
    unnest(@kinds::smallint[]);

-- Stores which rows are leaves that were sealed before. It keeps what is there.
-- name: PersistLeavesAgain :exec
INSERT INTO coordination_audit_seal_leaves (
    row_id,
    row_no,
    epoch,
    leaf_index,
    kind
)
SELECT
    unnest(@row_ids::pg_catalog.uuid[]),
    unnest(@row_nos::bigint[]),
    @epoch::bigint,
    unnest(@leaf_indexes::bigint[]),
    unnest(@kinds::smallint[])
ON CONFLICT DO NOTHING;

-- Finds the last leaf of a log below a size that has a row; -1 if none has.
-- name: GetLastLeaf :one
SELECT coalesce(max(leaf_index), -1)::bigint AS leaf_index
FROM coordination_audit_seal_leaves
WHERE epoch = @epoch::bigint
    AND leaf_index < @before::bigint;

-- Finds the leaf of a row.
-- name: GetLeaf :many
SELECT leaf_index
FROM coordination_audit_seal_leaves
WHERE row_id = @row_id::pg_catalog.uuid
    AND row_no = @row_no::bigint
    AND kind = @kind::smallint
    AND epoch = @epoch::bigint;

-- Lists the leaves of a log within a range, in its order.
-- name: ListLeaves :many
SELECT
    leaf_index,
    kind,
    row_id,
    row_no
FROM coordination_audit_seal_leaves
WHERE epoch = @epoch::bigint
    AND leaf_index >= @first::bigint
    AND leaf_index < @before::bigint
ORDER BY leaf_index
LIMIT @most::bigint;

-- Lists the leaves of gaps and statements within a range of a log.
-- name: ListOtherLeaves :many
SELECT
    leaf_index,
    kind,
    row_id,
    row_no
FROM coordination_audit_seal_leaves
WHERE epoch = @epoch::bigint
    AND leaf_index >= @first::bigint
    AND leaf_index < @before::bigint
    AND kind IN (2, 3)
ORDER BY
    leaf_index,
    row_id;

-- Lists leaves that no log can have: behind the end of the last one, or of a later one.
-- name: ListLeavesBeyond :many
SELECT
    epoch,
    leaf_index,
    kind,
    row_id
FROM coordination_audit_seal_leaves
WHERE epoch > @epoch::bigint
    OR (
        epoch = @epoch::bigint
        AND leaf_index >= @size::bigint
    )
ORDER BY
    epoch,
    leaf_index,
    row_id
LIMIT @most::bigint;

-- Lists sealed records by their leaves, in the order of the leaf's columns after the place.
-- name: ListSealedRecords :many
SELECT
    l.leaf_index,
    r.seq,
    r.audit_id,
    r.envelope_id,
    r.envelope_class,
    r.decision,
    r.reason,
    r.decision_timestamp,
    r.created_at,
    r.conflicting_envelope_id,
    r.preempting_envelope_id,
    r.active_envelopes_count,
    r.tenant_id,
    r.target_subsystem,
    r.target_parameter,
    r.counterpart_class,
    r.reason_code,
    r.policy_version,
    r.actor,
    r.caused_by,
    r.corrects,
    r.correlation_id,
    r.trace_id,
    r.span_id,
    r.details,
    r.source_id,
    r.source_seq
FROM coordination_audit_seal_leaves AS l
JOIN coordination_audit_records AS r ON r.audit_id = l.row_id
WHERE l.epoch = @epoch::bigint
    AND l.leaf_index >= @first::bigint
    AND l.leaf_index < @before::bigint
    AND l.kind = 1
    AND l.row_no = 0
ORDER BY
    l.leaf_index,
    r.audit_id;

-- Lists the records of some seqs, as they are sealed.
-- name: ListRecordsOfSeqs :many
SELECT
    seq,
    audit_id,
    envelope_id,
    envelope_class,
    decision,
    reason,
    decision_timestamp,
    created_at,
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
FROM coordination_audit_records
WHERE seq = ANY (@seqs::bigint[])
ORDER BY
    seq,
    audit_id;

-- Counts the records after a seq, up to a limit.
-- name: CountRecordsAfter :one
SELECT count(*)
FROM (
    SELECT seq
    FROM coordination_audit_records
    WHERE seq > @after::bigint
    LIMIT @most::bigint
) AS later;

-- Reads what decides whether this session can follow a distributed trail. The timeline is empty on a
-- standby: see GetServerIdentity.
-- name: DescribeClusterFollowing :one
SELECT
    pg_is_in_recovery() AS in_recovery,
    (pg_control_system()).system_identifier::bigint AS system_identifier,
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())::bigint AS database_oid,
    CASE
        WHEN pg_is_in_recovery() THEN ''
        ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
    END::pg_catalog.text AS timeline,
    (to_regclass('coordination_audit_seal_leaves') IS NOT NULL)::boolean AS has_leaves,
    (
        has_table_privilege('coordination_audit_seal_checkpoints', 'SELECT')
        AND coalesce(has_table_privilege(to_regclass('coordination_audit_seal_leaves'), 'SELECT'), true)
    )::boolean AS reads_seal;

-- Reads how many leaves the log has.
-- name: GetLogSize :many
SELECT
    epoch,
    size
FROM coordination_audit_seal_checkpoints
ORDER BY
    epoch DESC,
    size DESC
LIMIT 1;

-- Lists the records of some leaves.
-- name: ListLeafRecords :many
SELECT
    leaf_index,
    row_id
FROM coordination_audit_seal_leaves
WHERE epoch = @epoch::bigint
    AND leaf_index = ANY (@leaf_indexes::bigint[])
    AND kind = 1;

-- Counts the leaves within a range of a log that are listed.
-- name: CountLeaves :one
SELECT count(*)
FROM coordination_audit_seal_leaves
WHERE epoch = @epoch::bigint
    AND leaf_index >= @first::bigint
    AND leaf_index < @before::bigint;

-- Finds the first leaf of a record that was stored at or after a time; -1 if there is none.
-- name: FirstLeafSince :one
SELECT coalesce(min(l.leaf_index), -1)::bigint AS leaf_index
FROM coordination_audit_seal_leaves AS l
JOIN coordination_audit_records AS r ON r.audit_id = l.row_id
WHERE l.epoch = @epoch::bigint
    AND l.kind = 1
    AND l.row_no = 0
    AND r.created_at >= @since::pg_catalog.timestamptz;

-- Finds the first leaf of a record with a seq from one on; -1 if there is none.
-- name: FirstLeafFromSeq :one
SELECT coalesce(min(l.leaf_index), -1)::bigint AS leaf_index
FROM coordination_audit_seal_leaves AS l
JOIN coordination_audit_records AS r ON r.audit_id = l.row_id
WHERE l.epoch = @epoch::bigint
    AND l.kind = 1
    AND l.row_no = 0
    AND r.seq >= @seq::bigint;

-- Finds the first leaf of a record that an older log has behind a place, or not at all; -1 if there is
-- none.
-- name: FirstLeafAfterEpoch :one
SELECT coalesce(min(l.leaf_index), -1)::bigint AS leaf_index
FROM coordination_audit_seal_leaves AS l
LEFT JOIN coordination_audit_seal_leaves AS o
    ON o.row_id = l.row_id
    AND o.kind = l.kind
    AND o.row_no = l.row_no
    AND o.epoch = @before_epoch::bigint
WHERE l.epoch = @epoch::bigint
    AND l.kind = 1
    AND (
        o.leaf_index IS NULL
        OR o.leaf_index >= @place::bigint
    );

-- Lists the sealed records of a range of leaves that pass every filter, in the order of the log. An
-- empty filter passes all.
-- name: ListFollowedLeaves :many
SELECT
    l.leaf_index,
    sqlc.embed(r)
FROM coordination_audit_seal_leaves AS l
JOIN coordination_audit_records AS r ON r.audit_id = l.row_id
WHERE l.epoch = @epoch::bigint
    AND l.leaf_index >= @first::bigint
    AND l.leaf_index < @before::bigint
    AND l.kind = 1
    AND l.row_no = 0
    AND (@all_tenants::boolean OR coalesce(r.tenant_id, '') = @tenant_id::pg_catalog.text)
    AND (cardinality(@envelope_ids::pg_catalog.text[]) = 0 OR r.envelope_id = ANY (@envelope_ids::pg_catalog.text[]))
    AND (cardinality(@envelope_classes::pg_catalog.text[]) = 0 OR r.envelope_class = ANY (@envelope_classes::pg_catalog.text[]))
    AND (cardinality(@decisions::pg_catalog.text[]) = 0 OR r.decision = ANY (@decisions::pg_catalog.text[]))
    AND (@conflicting_envelope_id::pg_catalog.text = '' OR r.conflicting_envelope_id = @conflicting_envelope_id::pg_catalog.text)
    AND (@preempting_envelope_id::pg_catalog.text = '' OR r.preempting_envelope_id = @preempting_envelope_id::pg_catalog.text)
    AND (@target_subsystem::pg_catalog.text = '' OR r.target_subsystem = @target_subsystem::pg_catalog.text)
    AND (@target_parameter::pg_catalog.text = '' OR r.target_parameter = @target_parameter::pg_catalog.text)
    AND (@reason_contains::pg_catalog.text = '' OR strpos(r.reason, @reason_contains::pg_catalog.text) > 0)
    AND (@reason_code::pg_catalog.text = '' OR r.reason_code = @reason_code::pg_catalog.text)
    AND (@policy_version::pg_catalog.text = '' OR r.policy_version = @policy_version::pg_catalog.text)
    AND (@actor::pg_catalog.text = '' OR r.actor = @actor::pg_catalog.text)
    AND (@caused_by::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR r.caused_by = @caused_by::pg_catalog.uuid)
    AND (@corrects::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR r.corrects = @corrects::pg_catalog.uuid)
    AND (@correlation_id::pg_catalog.text = '' OR r.correlation_id = @correlation_id::pg_catalog.text)
    AND (@trace_id::pg_catalog.bytea = '' OR r.trace_id = @trace_id::pg_catalog.bytea)
    AND r.decision_timestamp >= @since::pg_catalog.timestamptz
    AND r.decision_timestamp <= @last::pg_catalog.timestamptz
ORDER BY
    l.leaf_index,
    r.audit_id
LIMIT @page_size::integer;
