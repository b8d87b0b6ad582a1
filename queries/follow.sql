-- Following reads the records in the order of (seq, audit_id), up to a fence: a value of the sequence
-- that every open transaction which may hold a lower one has been looked at for. internal/follow has
-- the rules, and sealing keeps the same ones.

-- Reads what decides whether and how far this session can follow. A role that may not read the
-- sequence gets no value of it, and NULL would look like an unused one. The timeline is empty on a
-- standby: see GetServerIdentity. Rows after the place tell whether there is anything to read, and the
-- ids at the anchor's seq whether the trail is still the one that was read.
-- name: DescribeFollowing :one
SELECT
    pg_is_in_recovery() AS in_recovery,
    (pg_control_system()).system_identifier::bigint AS system_identifier,
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())::bigint AS database_oid,
    CASE
        WHEN pg_is_in_recovery() THEN ''
        ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
    END::pg_catalog.text AS timeline,
    has_sequence_privilege(pg_get_serial_sequence('coordination_audit_records', 'seq'), 'SELECT')::boolean AS reads_sequence,
    CASE
        WHEN has_sequence_privilege(pg_get_serial_sequence('coordination_audit_records', 'seq'), 'SELECT')
            THEN coalesce(pg_sequence_last_value(pg_get_serial_sequence('coordination_audit_records', 'seq')::regclass), 0)
        ELSE 0
    END::bigint AS last_value,
    (
        SELECT seqcache
        FROM pg_catalog.pg_sequence
        WHERE seqrelid = pg_get_serial_sequence('coordination_audit_records', 'seq')::regclass
    )::bigint AS cached,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_subscription_rel
        WHERE srrelid = 'coordination_audit_records'::regclass
    )::boolean AS subscribed,
    coalesce((SELECT max(seq) FROM coordination_audit_records), 0)::bigint AS newest,
    coalesce((
        SELECT seq
        FROM coordination_audit_records
        WHERE seq >= @seq::bigint
            AND (seq, audit_id) > (@seq::bigint, @audit_id::pg_catalog.uuid)
        ORDER BY seq
        LIMIT 1
    ), 0)::bigint AS next,
    ARRAY(
        SELECT audit_id
        FROM coordination_audit_records
        WHERE seq = @anchor::bigint
    )::pg_catalog.uuid[] AS at_anchor;

-- Lists the transactions that may have inserted a record which is not committed yet, prepared ones
-- included: see ListInserting, which does it for every table that is sealed.
-- name: ListInsertingRecords :many
SELECT DISTINCT
    virtualtransaction::pg_catalog.text AS transaction,
    coalesce(pid, 0)::integer AS pid
FROM pg_catalog.pg_locks
WHERE locktype = 'relation'
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND relation = 'coordination_audit_records'::regclass
    AND mode = 'RowExclusiveLock'
    AND granted
    AND virtualtransaction NOT LIKE '%/0'
    AND pid IS DISTINCT FROM pg_backend_pid();

-- Lists records from a place up to a seq, in the order in which they are followed.
-- name: ListFollowedRecords :many
SELECT *
FROM coordination_audit_records
WHERE seq >= @after_seq::bigint
    AND seq <= @through::bigint
    AND (seq, audit_id) > (@after_seq::bigint, @after_audit_id::pg_catalog.uuid)
ORDER BY
    seq,
    audit_id
LIMIT @page_size::integer;

-- Lists the records that pass every filter, from a place up to a seq. An empty filter passes all.
-- name: ListFollowedFilteredRecords :many
SELECT *
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND (cardinality(@envelope_ids::pg_catalog.text[]) = 0 OR envelope_id = ANY (@envelope_ids::pg_catalog.text[]))
    AND (cardinality(@envelope_classes::pg_catalog.text[]) = 0 OR envelope_class = ANY (@envelope_classes::pg_catalog.text[]))
    AND (cardinality(@decisions::pg_catalog.text[]) = 0 OR decision = ANY (@decisions::pg_catalog.text[]))
    AND (@conflicting_envelope_id::pg_catalog.text = '' OR conflicting_envelope_id = @conflicting_envelope_id::pg_catalog.text)
    AND (@preempting_envelope_id::pg_catalog.text = '' OR preempting_envelope_id = @preempting_envelope_id::pg_catalog.text)
    AND (@target_subsystem::pg_catalog.text = '' OR target_subsystem = @target_subsystem::pg_catalog.text)
    AND (@target_parameter::pg_catalog.text = '' OR target_parameter = @target_parameter::pg_catalog.text)
    AND (@reason_contains::pg_catalog.text = '' OR strpos(reason, @reason_contains::pg_catalog.text) > 0)
    AND (@reason_code::pg_catalog.text = '' OR reason_code = @reason_code::pg_catalog.text)
    AND (@policy_version::pg_catalog.text = '' OR policy_version = @policy_version::pg_catalog.text)
    AND (@actor::pg_catalog.text = '' OR actor = @actor::pg_catalog.text)
    AND (@caused_by::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR caused_by = @caused_by::pg_catalog.uuid)
    AND (@corrects::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR corrects = @corrects::pg_catalog.uuid)
    AND (@correlation_id::pg_catalog.text = '' OR correlation_id = @correlation_id::pg_catalog.text)
    AND (@trace_id::pg_catalog.bytea = '' OR trace_id = @trace_id::pg_catalog.bytea)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
    AND seq >= @after_seq::bigint
    AND seq <= @through::bigint
    AND (seq, audit_id) > (@after_seq::bigint, @after_audit_id::pg_catalog.uuid)
ORDER BY
    seq,
    audit_id
LIMIT @page_size::integer;

-- Lists the records of some seqs that pass every filter.
-- name: ListLateRecords :many
SELECT *
FROM coordination_audit_records
WHERE seq = ANY (@seqs::bigint[])
    AND (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND (cardinality(@envelope_ids::pg_catalog.text[]) = 0 OR envelope_id = ANY (@envelope_ids::pg_catalog.text[]))
    AND (cardinality(@envelope_classes::pg_catalog.text[]) = 0 OR envelope_class = ANY (@envelope_classes::pg_catalog.text[]))
    AND (cardinality(@decisions::pg_catalog.text[]) = 0 OR decision = ANY (@decisions::pg_catalog.text[]))
    AND (@conflicting_envelope_id::pg_catalog.text = '' OR conflicting_envelope_id = @conflicting_envelope_id::pg_catalog.text)
    AND (@preempting_envelope_id::pg_catalog.text = '' OR preempting_envelope_id = @preempting_envelope_id::pg_catalog.text)
    AND (@target_subsystem::pg_catalog.text = '' OR target_subsystem = @target_subsystem::pg_catalog.text)
    AND (@target_parameter::pg_catalog.text = '' OR target_parameter = @target_parameter::pg_catalog.text)
    AND (@reason_contains::pg_catalog.text = '' OR strpos(reason, @reason_contains::pg_catalog.text) > 0)
    AND (@reason_code::pg_catalog.text = '' OR reason_code = @reason_code::pg_catalog.text)
    AND (@policy_version::pg_catalog.text = '' OR policy_version = @policy_version::pg_catalog.text)
    AND (@actor::pg_catalog.text = '' OR actor = @actor::pg_catalog.text)
    AND (@caused_by::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR caused_by = @caused_by::pg_catalog.uuid)
    AND (@corrects::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR corrects = @corrects::pg_catalog.uuid)
    AND (@correlation_id::pg_catalog.text = '' OR correlation_id = @correlation_id::pg_catalog.text)
    AND (@trace_id::pg_catalog.bytea = '' OR trace_id = @trace_id::pg_catalog.bytea)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz
ORDER BY
    seq,
    audit_id;

-- Lists which of some seqs have a row, regardless of the filters. The ranges come as two arrays:
-- taking a multirange of many ranges apart takes the square of their number. OFFSET 0 keeps them
-- outside: the server takes a range for a ninth of the table, and would look through the ranges for
-- each row. The caller sorts.
-- name: ListStoredSeqs :many
SELECT r.seq
FROM (SELECT unnest(@firsts::bigint[]) AS first, unnest(@lasts::bigint[]) AS last) AS among
CROSS JOIN LATERAL (
    SELECT seq
    FROM coordination_audit_records
    WHERE seq >= among.first
        AND seq <= among.last
    OFFSET 0
) AS r;

-- Finds the last row of a range of seqs.
-- name: LastRecordThrough :many
SELECT
    seq,
    audit_id
FROM coordination_audit_records
WHERE seq >= @from_seq::bigint
    AND seq <= @through::bigint
ORDER BY
    seq DESC,
    audit_id DESC
LIMIT 1;

-- Finds the rows at some seqs.
-- name: ListAnchors :many
SELECT
    seq,
    audit_id
FROM coordination_audit_records
WHERE seq = ANY (@seqs::bigint[]);

-- Finds the lowest seq among the records that were stored at or after a time; 0 if there is none. No
-- index serves it.
-- name: FirstSeqSince :one
SELECT coalesce(min(seq), 0)::bigint AS seq
FROM coordination_audit_records
WHERE created_at >= @since::pg_catalog.timestamptz;

-- Reports whether this role may read the checkpoints.
-- name: ReadsCheckpoints :one
SELECT has_table_privilege('coordination_audit_seal_checkpoints', 'SELECT')::boolean AS may;

-- Reads how far the last checkpoint covers the records, and what it awaits below.
-- name: GetSealedThrough :many
SELECT
    records_through,
    awaited::pg_catalog.text AS awaited
FROM coordination_audit_seal_checkpoints
ORDER BY
    epoch DESC,
    size DESC
LIMIT 1;
