-- Commits an entry in the server's write-ahead log. The commit then waits for all that the commit of
-- a new record waits for: the disk, and the standbys that the server's settings name. What was
-- visible before it is then as durable as this commit. A transaction that writes nothing waits for
-- nothing.
-- name: ConfirmDurable :one
SELECT pg_logical_emit_message(true, 'coordaudit', ''::pg_catalog.text)::pg_catalog.text AS lsn;

-- Reports whether row-level security may hide records from this role.
-- name: HidesAuditRecords :one
SELECT row_security_active('coordination_audit_records')::boolean AS hides;

-- Describes the table of records: whether it is a table, whether it may store a row that differs from
-- the one that was sent, and whether its rows survive a crash. It reads the whole tree of partitions,
-- where triggers may sit as well. A trigger may change or discard a row if it is a row trigger (1)
-- that fires before (2) an INSERT (4). None of ours does. One that fires after it may do so by UPDATE
-- or DELETE where our guard against both does not stand, or passes its function. So may one of gaps or
-- statements, whose INSERT itself tells what was changed before. A column may change a value if its
-- type is not ours, or narrower. A trigger whose text names the settings that a commit depends on may
-- change them after RETURNING was evaluated. A table whose rows are on the workers of a Citus cluster
-- has a trigger of Citus', and no other sign that is there without the extension, too. The last column
-- is the session's settings: see PersistAuditRecord.
-- name: DescribeRecordsTable :one
WITH RECURSIVE tree AS (
    SELECT
        c.oid AS root,
        c.oid AS relation
    FROM pg_catalog.pg_class AS c
    WHERE c.oid IN (to_regclass('coordination_audit_records'), to_regclass('coordination_audit_gaps'), to_regclass('coordination_audit_statements'))
    UNION
    SELECT
        tree.root,
        i.inhrelid AS relation
    FROM pg_catalog.pg_inherits AS i
    JOIN tree ON tree.relation = i.inhparent
),

rewritten AS (
    SELECT tree.root
    FROM pg_catalog.pg_trigger AS later
    JOIN tree ON tree.relation = later.tgrelid
    JOIN pg_catalog.pg_proc AS f ON f.oid = later.tgfoid
    WHERE NOT later.tgisinternal
        AND later.tgenabled <> 'D'
        AND later.tgtype & 6 = 4
        AND (
            (f.prosecdef AND pg_get_userbyid(f.proowner) = 'coordaudit_retention')
            OR NOT EXISTS (
                SELECT 1
                FROM pg_catalog.pg_trigger AS guard
                WHERE guard.tgrelid = later.tgrelid
                    AND guard.tgname LIKE '%refuse_update_delete'
                    AND guard.tgenabled = 'A'
                    AND guard.tgtype & 27 = 27
            )
        )
    UNION
    SELECT tree.root
    FROM pg_catalog.pg_class AS c
    JOIN tree ON tree.relation = c.oid
    WHERE c.relkind = 'f'
)

SELECT
    (t.relkind IN ('r', 'p'))::boolean AS is_table,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_inherits
        WHERE inhparent = t.oid AND t.relkind = 'r'
    )::boolean AS has_children,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_rewrite
        WHERE ev_class = t.oid AND ev_type IN ('2', '3')
    )::boolean AS has_rules,
    (
        EXISTS (
            SELECT 1
            FROM pg_catalog.pg_trigger
            JOIN tree ON tree.relation = tgrelid AND tree.root = t.oid
            WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 7 = 7
        )
        OR t.oid IN (SELECT rewritten.root FROM rewritten)
        OR EXISTS (
            SELECT 1
            FROM (
                VALUES
                ('audit_id', 'uuid', -1),
                ('envelope_id', 'varchar', 104),
                ('envelope_class', 'varchar', 24),
                ('decision', 'varchar', 24),
                ('reason', 'text', -1),
                ('decision_timestamp', 'timestamptz', -1),
                ('conflicting_envelope_id', 'varchar', 104),
                ('preempting_envelope_id', 'varchar', 104),
                ('active_envelopes_count', 'int4', -1),
                ('tenant_id', 'varchar', 104),
                ('target_subsystem', 'varchar', 104),
                ('target_parameter', 'varchar', 104),
                ('counterpart_class', 'varchar', 24),
                ('reason_code', 'varchar', 104),
                ('policy_version', 'varchar', 104),
                ('actor', 'varchar', 104),
                ('caused_by', 'uuid', -1),
                ('corrects', 'uuid', -1),
                ('correlation_id', 'varchar', 104),
                ('trace_id', 'bytea', -1),
                ('span_id', 'bytea', -1),
                ('details', 'jsonb', -1),
                ('source_id', 'uuid', -1),
                ('source_seq', 'int8', -1)
            ) AS ours (column_name, type_name, modifier)
            WHERE NOT EXISTS (
                SELECT 1
                FROM pg_catalog.pg_attribute AS a
                JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
                JOIN pg_catalog.pg_namespace AS n ON n.oid = y.typnamespace
                WHERE a.attrelid = t.oid
                    AND a.attname = ours.column_name
                    AND n.nspname = 'pg_catalog'
                    AND (
                        (y.typname = ours.type_name AND (a.atttypmod = -1 OR (a.atttypmod >= ours.modifier AND ours.modifier > 0)))
                        OR (y.typname = 'text' AND ours.type_name = 'varchar')
                    )
            )
        )
    )::boolean AS rewrites,
    EXISTS (
        SELECT 1
        FROM rewritten
        WHERE rewritten.root = to_regclass('coordination_audit_gaps')
    )::boolean AS rewrites_gaps,
    EXISTS (
        SELECT 1
        FROM rewritten
        WHERE rewritten.root = to_regclass('coordination_audit_statements')
    )::boolean AS rewrites_statements,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_trigger AS g
        JOIN tree ON tree.relation = g.tgrelid
        JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
        WHERE NOT g.tgisinternal
            AND g.tgenabled <> 'D'
            AND g.tgtype & 4 = 4
            AND p.prosrc ~* 'synchronous_commit|client_min_messages'
    )::boolean AS resets_session,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_class AS c
        JOIN tree ON tree.relation = c.oid AND tree.root = t.oid
        WHERE c.relpersistence = 'u'
    )::boolean AS records_unlogged,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_trigger AS g
        JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
        WHERE g.tgrelid = t.oid AND g.tgisinternal AND p.proname = 'citus_truncate_trigger'
    )::boolean AS distributed,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = to_regclass('coordination_audit_gaps') AND c.relpersistence = 'u'
    )::boolean AS gaps_unlogged,
    EXISTS (
        SELECT 1
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = to_regclass('coordination_audit_statements') AND c.relpersistence = 'u'
    )::boolean AS statements_unlogged,
    (current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::pg_catalog.text AS session
FROM pg_catalog.pg_class AS t
WHERE t.oid = to_regclass('coordination_audit_records');

-- Gets the settings that a session's commits depend on.
-- name: GetSessionSettings :one
SELECT
    pg_backend_pid()::integer AS backend_pid,
    current_setting('client_min_messages')::pg_catalog.text AS client_min_messages,
    current_setting('synchronous_commit')::pg_catalog.text AS synchronous_commit,
    current_setting('fsync')::pg_catalog.text AS fsync,
    current_setting('full_page_writes')::pg_catalog.text AS full_page_writes;

-- Gets which server this is and which timeline it writes. The timeline is empty on a standby. It
-- comes from the name of a log file, because the control file lags behind a promotion by a
-- checkpoint.
-- name: GetServerIdentity :one
SELECT
    (pg_control_system()).system_identifier::bigint AS system_identifier,
    CASE
        WHEN pg_is_in_recovery() THEN ''
        ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
    END::pg_catalog.text AS timeline;
