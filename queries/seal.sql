-- Reads whether this session can seal. A standby shows locks of its own and sequences that are ahead
-- of the rows. A subscriber's rows come with the sequence of another database. A crash empties an
-- UNLOGGED table.
-- name: DescribeSealing :one
SELECT
    pg_is_in_recovery() AS in_recovery,
    current_setting('transaction_isolation')::pg_catalog.text AS isolation,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_subscription_rel
        WHERE srrelid IN ('coordination_audit_records'::regclass, 'coordination_audit_gaps'::regclass, 'coordination_audit_statements'::regclass)
    )::boolean AS subscribed,
    coalesce((
        SELECT string_agg(seqrelid::regclass::pg_catalog.text, ', ')
        FROM pg_catalog.pg_sequence
        WHERE seqcache <> 1
            AND seqrelid IN (
                pg_get_serial_sequence('coordination_audit_records', 'seq')::regclass,
                pg_get_serial_sequence('coordination_audit_gaps', 'seq')::regclass,
                pg_get_serial_sequence('coordination_audit_statements', 'seq')::regclass,
                pg_get_serial_sequence('coordination_audit_seal_events', 'seq')::regclass
            )
    ), '')::pg_catalog.text AS cached_sequences,
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
    )::pg_catalog.text[] AS unlogged,
    coalesce((SELECT max(seq) FROM coordination_audit_records), 0)::bigint AS last_record,
    coalesce((SELECT max(seq) FROM coordination_audit_gaps), 0)::bigint AS last_gap,
    coalesce((SELECT max(seq) FROM coordination_audit_statements), 0)::bigint AS last_statement,
    coalesce((SELECT max(seq) FROM coordination_audit_seal_events), 0)::bigint AS last_event;

-- Reports whether the rows of the trail are on the workers of a Citus cluster: see
-- DescribeRecordsTable.
-- name: IsDistributed :one
SELECT EXISTS (
    SELECT 1
    FROM pg_catalog.pg_trigger AS g
    JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
    WHERE g.tgrelid IN (
            'coordination_audit_records'::regclass,
            'coordination_audit_gaps'::regclass,
            'coordination_audit_statements'::regclass
        )
        AND g.tgisinternal
        AND p.proname = 'citus_truncate_trigger'
)::boolean AS distributed;

-- Lists the schemas that have something of the name of the records' table. LIKE, because a literal of
-- that name gets a schema before it is sent.
-- name: ListTrailSchemas :many
SELECT n.nspname::pg_catalog.text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname LIKE 'coordination!_audit!_records' ESCAPE '!'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND c.relpersistence <> 't'
ORDER BY n.nspname;

-- Lists what is no table of those whose rows are sealed. A view shows each reader what it likes, and so
-- does a column that is computed when it is read. A rule of a view can be put on a table.
-- name: ListNoTables :many
SELECT c.relname::pg_catalog.text AS name
FROM pg_catalog.pg_class AS c
WHERE c.oid IN (
        'coordination_audit_records'::regclass,
        'coordination_audit_gaps'::regclass,
        'coordination_audit_statements'::regclass,
        'coordination_audit_seal_events'::regclass
    )
    AND (
        c.relkind NOT IN ('r', 'p')
        OR EXISTS (
            SELECT 1
            FROM pg_catalog.pg_rewrite AS w
            WHERE w.ev_class = c.oid
                AND w.ev_type = '1'
        )
        OR EXISTS (
            SELECT 1
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid
                AND a.attgenerated = 'v'
                AND a.attname = ANY (@columns::pg_catalog.text[])
        )
    )
ORDER BY c.relname;

-- Reads the highest seq of a record, which is above the sequence if someone stored it by hand.
-- name: GetLastRecordSeq :one
SELECT coalesce(max(seq), 0)::bigint AS seq
FROM coordination_audit_records;

-- Reads how far each sequence has come. A row that is inserted from now on has a higher seq.
-- name: GetSequencePositions :one
SELECT
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('coordination_audit_records', 'seq')::regclass), 0)::bigint AS records,
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('coordination_audit_gaps', 'seq')::regclass), 0)::bigint AS gaps,
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('coordination_audit_statements', 'seq')::regclass), 0)::bigint AS statements,
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('coordination_audit_seal_events', 'seq')::regclass), 0)::bigint AS events;

-- Reads how long ago the oldest row after positions was stored, 100 years at most: a row may be older
-- than the constraint that keeps its time finite. Rows of one table were stored in about the order of
-- seq, so the first one of each is enough.
-- name: GetUnsealedAge :one
SELECT
    (count(*) > 0)::boolean AS found,
    coalesce(
        extract(epoch FROM clock_timestamp() - min(greatest(least(stored_at, clock_timestamp()), clock_timestamp() - interval '100 years'))) * 1000000,
        0
    )::bigint AS microseconds
FROM (
    (
        SELECT created_at AS stored_at
        FROM coordination_audit_records
        WHERE seq > @records::bigint
        ORDER BY seq
        LIMIT 1
    )
    UNION ALL
    (
        SELECT recorded_at
        FROM coordination_audit_gaps
        WHERE seq > @gaps::bigint
        ORDER BY seq
        LIMIT 1
    )
    UNION ALL
    (
        SELECT made_at
        FROM coordination_audit_statements
        WHERE seq > @statements::bigint
        ORDER BY seq
        LIMIT 1
    )
    UNION ALL
    (
        SELECT made_at
        FROM coordination_audit_seal_events
        WHERE seq > @events::bigint
        ORDER BY seq
        LIMIT 1
    )
) AS first_unsealed;

-- Lists the transactions that may have inserted a row which is not committed yet, prepared ones
-- included: an INSERT holds this lock to the end of its transaction. The database counts, because a
-- clone of it has tables of the same oid. Virtual ids that end in /0 belong to no transaction.
-- name: ListInserting :many
SELECT DISTINCT
    virtualtransaction::pg_catalog.text AS transaction,
    coalesce(pid, 0)::integer AS pid
FROM pg_catalog.pg_locks
WHERE locktype = 'relation'
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND relation IN (
        'coordination_audit_records'::regclass,
        'coordination_audit_gaps'::regclass,
        'coordination_audit_statements'::regclass,
        'coordination_audit_seal_events'::regclass
    )
    AND mode = 'RowExclusiveLock'
    AND granted
    AND virtualtransaction NOT LIKE '%/0'
    AND pid IS DISTINCT FROM pg_backend_pid();

-- Names the prepared transactions that hold a lock on the table of records.
-- name: ListPreparedInserting :many
SELECT DISTINCT
    held.virtualtransaction::pg_catalog.text AS transaction,
    prepared.gid
FROM pg_catalog.pg_locks AS held
JOIN pg_catalog.pg_locks AS own
    ON own.virtualtransaction = held.virtualtransaction
    AND own.locktype = 'transactionid'
    AND own.pid IS NULL
JOIN pg_catalog.pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
WHERE held.locktype = 'relation'
    AND held.relation = 'coordination_audit_records'::regclass
    AND held.pid IS NULL;

-- Takes the lock that one sealer at a time holds, for the rest of the session. It hangs on the table
-- and its database.
-- name: TryLockSealing :one
SELECT pg_try_advisory_lock(
    hashtextextended('coordaudit seal', 'coordination_audit_seal_tiles'::regclass::oid::bigint)
) AS locked;

-- Says who holds the lock of TryLockSealing, and whether that role may seal: every role may take an
-- advisory lock. An advisory lock of 64 bits has its halves in classid and objid.
-- name: GetSealingHolder :one
WITH sealing AS (
    SELECT hashtextextended('coordaudit seal', 'coordination_audit_seal_tiles'::regclass::oid::bigint) AS key
)
SELECT
    holder.pid::integer AS process,
    coalesce(quote_ident(holder.usename), '')::pg_catalog.text AS role,
    coalesce(has_any_column_privilege(holder.usesysid, 'coordination_audit_seal_tiles'::regclass, 'INSERT'), false)::boolean AS may_seal
FROM sealing
JOIN pg_catalog.pg_locks AS held
    ON held.locktype = 'advisory'
    AND held.granted
    AND held.objsubid = 1
    AND held.classid::bigint = (sealing.key >> 32) & 4294967295
    AND held.objid::bigint = sealing.key & 4294967295
JOIN pg_catalog.pg_database AS here
    ON here.oid = held.database
    AND here.datname = current_database()
JOIN pg_catalog.pg_stat_activity AS holder ON holder.pid = held.pid
LIMIT 1;

-- Finds the first record after one.
-- name: NextRecordSeq :one
SELECT coalesce(min(seq), 0)::bigint AS seq
FROM coordination_audit_records
WHERE seq > @after::bigint
    AND seq <= @through::bigint;

-- Lists records as they are sealed, in the order of the leaf's columns.
-- name: ListRecordsToSeal :many
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
WHERE seq >= @first::bigint
    AND seq <= @last::bigint
ORDER BY
    seq,
    audit_id;

-- Lists records in ranges of seq, such as those that were not committed when their neighbours were
-- sealed. OFFSET 0 keeps the ranges outside: the planner takes a range for a ninth of the table, and
-- would read all of the index in its order instead of looking up each range.
-- name: ListRecordsInRanges :many
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
FROM unnest((@ranges::pg_catalog.text)::int8multirange) AS range
CROSS JOIN LATERAL (
    SELECT *
    FROM coordination_audit_records
    WHERE seq >= lower(range)
        AND seq < upper(range)
    OFFSET 0
) AS r
ORDER BY
    r.seq,
    r.audit_id;

-- name: ListGapsToSeal :many
SELECT
    seq,
    gap_id,
    dropped_safety,
    dropped_reliability,
    dropped_cost,
    dropped_performance,
    dropped_unknown,
    first_audit_id,
    last_audit_id,
    lost_from,
    lost_until,
    cause,
    recorded_at
FROM coordination_audit_gaps
WHERE seq >= @first::bigint
    AND seq <= @last::bigint
ORDER BY
    seq,
    gap_id;

-- name: ListStatementsToSeal :many
SELECT
    seq,
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
    label,
    made_at
FROM coordination_audit_statements
WHERE seq >= @first::bigint
    AND seq <= @last::bigint
ORDER BY
    seq,
    source_id,
    statement_no;

-- name: ListEventsToSeal :many
SELECT
    seq,
    event_id,
    kind,
    epoch,
    body,
    made_at
FROM coordination_audit_seal_events
WHERE seq >= @first::bigint
    AND seq <= @last::bigint
ORDER BY
    seq,
    event_id;

-- Reads the last checkpoint of the last epoch.
-- name: GetLastCheckpoint :one
SELECT
    epoch,
    size,
    previous_size,
    root,
    leaves,
    records_through,
    gaps_through,
    statements_through,
    events_through,
    awaited::pg_catalog.text AS awaited,
    note,
    made_at
FROM coordination_audit_seal_checkpoints
ORDER BY
    epoch DESC,
    size DESC
LIMIT 1;

-- Reports whether the tables of the seal are there: an older schema has none.
-- name: HasSealTables :one
SELECT (to_regclass('coordination_audit_seal_checkpoints') IS NOT NULL)::boolean AS has_tables;

-- Reads the last checkpoint, and counts the records that it does not cover, up to a limit.
-- name: DescribeLog :one
SELECT
    c.epoch,
    c.size,
    c.root,
    c.note,
    c.made_at,
    (
        SELECT count(*)
        FROM (
            (
                SELECT later.seq
                FROM coordination_audit_records AS later
                WHERE later.seq > c.records_through
                ORDER BY later.seq
                LIMIT @most::bigint
            )
            UNION ALL
            (
                SELECT late.seq
                FROM unnest(c.awaited) AS range
                CROSS JOIN LATERAL (
                    SELECT seq
                    FROM coordination_audit_records
                    WHERE seq >= lower(range)
                        AND seq < upper(range)
                    LIMIT @most::bigint
                ) AS late
                LIMIT @most::bigint
            )
        ) AS unsealed
    )::bigint AS unsealed
FROM (
    SELECT
        epoch,
        size,
        root,
        note,
        made_at,
        records_through,
        awaited
    FROM coordination_audit_seal_checkpoints
    ORDER BY
        epoch DESC,
        size DESC
    LIMIT 1
) AS c;

-- Reads the last checkpoint of an epoch that is not larger than a size.
-- name: GetCheckpointBefore :one
SELECT
    epoch,
    size,
    previous_size,
    root,
    leaves,
    records_through,
    gaps_through,
    statements_through,
    events_through,
    awaited::pg_catalog.text AS awaited,
    note,
    made_at
FROM coordination_audit_seal_checkpoints
WHERE epoch = @epoch
    AND size <= @size
ORDER BY size DESC
LIMIT 1;

-- Lists the checkpoints of an epoch within a range of sizes.
-- name: ListCheckpoints :many
SELECT
    size,
    previous_size,
    root,
    marks,
    note,
    made_at
FROM coordination_audit_seal_checkpoints
WHERE epoch = @epoch
    AND size > @after::bigint
    AND size <= @through::bigint
ORDER BY size;

-- name: PersistCheckpoint :exec
INSERT INTO coordination_audit_seal_checkpoints (
    epoch,
    size,
    previous_size,
    root,
    leaves,
    marks,
    records_through,
    gaps_through,
    statements_through,
    events_through,
    awaited,
    note
)
VALUES (
    @epoch,
    @size,
    @previous_size,
    @root,
    @leaves,
    @marks,
    @records_through,
    @gaps_through,
    @statements_through,
    @events_through,
    (@awaited::pg_catalog.text)::int8multirange,
    @note
);

-- Stores full tiles. late_from is 0 where a tile has no late record.
-- name: PersistTiles :exec
INSERT INTO coordination_audit_seal_tiles (
    epoch,
    level,
    idx,
    through,
    late_from,
    late_through,
    root,
    leaves,
    hashes
)
SELECT
    @epoch::bigint,
    unnest(@levels::smallint[]),
    unnest(@indexes::bigint[]),
    unnest(@throughs::bigint[]),
    nullif(unnest(@late_froms::bigint[]), 0),
    nullif(unnest(@late_throughs::bigint[]), 0),
    unnest(@roots::bytea[]),
    unnest(@leaves::bytea[]),
    unnest(@hashes::bytea[]);

-- Reports whether a checkpoint is stored as it was sent. A trigger may remove or change a row after
-- its INSERT.
-- name: IsCheckpointStored :one
SELECT EXISTS (
    SELECT 1
    FROM coordination_audit_seal_checkpoints
    WHERE epoch = @epoch
        AND size = @size
        AND previous_size = @previous_size
        AND root = @root
        AND leaves = @leaves
        AND marks = @marks
        AND records_through = @records_through
        AND gaps_through = @gaps_through
        AND statements_through = @statements_through
        AND events_through = @events_through
        AND awaited = (@awaited::pg_catalog.text)::int8multirange
        AND note = @note
)::boolean AS stored;

-- Counts the tiles that are stored as they were sent. A digest is that of the root, the leaves and the
-- hashes. OFFSET 0 keeps the planner from reading all tiles.
-- name: CountStoredTiles :one
SELECT count(*)
FROM (
    SELECT
        unnest(@levels::smallint[]) AS level,
        unnest(@indexes::bigint[]) AS idx,
        unnest(@throughs::bigint[]) AS through,
        unnest(@late_froms::bigint[]) AS late_from,
        unnest(@late_throughs::bigint[]) AS late_through,
        unnest(@digests::bytea[]) AS digest
) AS sent
CROSS JOIN LATERAL (
    SELECT *
    FROM coordination_audit_seal_tiles
    WHERE epoch = @epoch::bigint
        AND level = sent.level
        AND idx = sent.idx
    OFFSET 0
) AS stored
WHERE stored.through = sent.through
    AND coalesce(stored.late_from, 0) = sent.late_from
    AND coalesce(stored.late_through, 0) = sent.late_through
    AND sha256(stored.root || stored.leaves || stored.hashes) = sent.digest;

-- Lists the roots of the tiles of a level, from one on.
-- name: ListTileRoots :many
SELECT
    idx,
    root
FROM coordination_audit_seal_tiles
WHERE epoch = @epoch
    AND level = @level
    AND idx >= @first::bigint
    AND idx < @before::bigint
ORDER BY idx;

-- name: GetTile :one
SELECT
    through,
    root,
    leaves,
    hashes
FROM coordination_audit_seal_tiles
WHERE epoch = @epoch
    AND level = @level
    AND idx = @idx;

-- Lists the tiles of the lowest level, from one on.
-- name: ListTiles :many
SELECT
    idx,
    through,
    coalesce(late_from, 0)::bigint AS late_from,
    coalesce(late_through, 0)::bigint AS late_through,
    root,
    leaves,
    hashes
FROM coordination_audit_seal_tiles
WHERE epoch = @epoch
    AND level = 0
    AND idx >= @first::bigint
    AND idx < @before::bigint
ORDER BY idx;

-- Finds a tile behind the end of a log. A tile of level n covers 256 ^ (n + 1) leaves, and no log has
-- one of level 7.
-- name: FindTileBehind :one
SELECT
    behind.level,
    behind.idx
FROM (
    SELECT coalesce(max(size), 0)::bigint AS size
    FROM coordination_audit_seal_checkpoints
    WHERE epoch = @epoch::bigint
) AS log
CROSS JOIN generate_series(0, 7) AS of (level)
CROSS JOIN LATERAL (
    SELECT
        level,
        idx
    FROM coordination_audit_seal_tiles
    WHERE epoch = @epoch::bigint
        AND level = of.level
        AND idx >= CASE WHEN of.level < 7 THEN log.size >> (8 * (of.level + 1)) ELSE 0 END
    ORDER BY idx DESC
    LIMIT 1
) AS behind
LIMIT 1;

-- Finds the tiles that may hold a record: the first that reaches its seq, and those with late records
-- around it.
-- name: FindTiles :many
SELECT
    t.idx,
    t.leaves,
    t.hashes
FROM coordination_audit_seal_tiles AS t
WHERE t.epoch = @epoch
    AND t.level = 0
    AND t.idx = ANY (ARRAY(
        (
            SELECT reaching.idx
            FROM coordination_audit_seal_tiles AS reaching
            WHERE reaching.epoch = @epoch
                AND reaching.level = 0
                AND reaching.through >= @seq::bigint
            ORDER BY
                reaching.through,
                reaching.idx
            LIMIT 1
        )
        UNION ALL
        (
            SELECT late.idx
            FROM coordination_audit_seal_tiles AS late
            WHERE late.epoch = @epoch
                AND late.late_from <= @seq::bigint
                AND late.late_through >= @seq::bigint
        )
    ))
ORDER BY t.idx;

-- name: PersistSealEvent :one
INSERT INTO coordination_audit_seal_events (
    event_id,
    kind,
    epoch,
    body
)
VALUES (
    @event_id,
    @kind,
    @epoch,
    @body
)
RETURNING
    seq,
    made_at;

-- Reports whether an event is stored as it was sent: see IsCheckpointStored.
-- name: IsSealEventStored :one
SELECT EXISTS (
    SELECT 1
    FROM coordination_audit_seal_events
    WHERE event_id = @event_id
        AND kind = @kind
        AND epoch = @epoch
        AND body = @body
)::boolean AS stored;

-- Reads the record of an id.
-- name: GetRecordToProve :one
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
WHERE audit_id = @audit_id;

-- Reads the event that opened the newest epoch after the first.
-- name: GetOpenedEpoch :one
SELECT
    seq,
    epoch,
    body
FROM coordination_audit_seal_events
WHERE kind = 'epoch opened'
ORDER BY
    epoch DESC,
    seq DESC
LIMIT 1;
