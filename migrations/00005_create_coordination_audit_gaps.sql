-- Creates the table of gaps. It counts what a recorder could neither store nor spool,
-- so that the trail itself shows that records are missing.
--
-- Why a table of its own: a gap is not a decision, has no tenant and stands for many
-- records, so no row of coordination_audit_records could hold one. It is immutable in
-- the same way, by the function of 00001. It has one column of counts per class, so
-- that a CHECK can apply to each.
--
-- It has no index besides its key. A gap needs an outage of both the database and the
-- spool, so there are few. Scanning them all for a reader's window costs less than
-- maintaining an index.
--
-- Locks: none on coordination_audit_records. No session uses the new table yet.

-- +goose Up
CREATE TABLE IF NOT EXISTS coordination_audit_gaps (
    gap_id              uuid        PRIMARY KEY,
    seq                 bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    dropped_safety      bigint      NOT NULL,
    dropped_reliability bigint      NOT NULL,
    dropped_cost        bigint      NOT NULL,
    dropped_performance bigint      NOT NULL,
    dropped_unknown     bigint      NOT NULL,
    first_audit_id      uuid        NOT NULL,
    last_audit_id       uuid        NOT NULL,
    lost_from           timestamptz NOT NULL,
    lost_until          timestamptz NOT NULL,
    cause               text        NOT NULL,
    recorded_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- IF NOT EXISTS is for a table restored without the version table. It accepts any
-- relation of that name, and this migration does not. Types are compared as in 00001.
-- +goose StatementBegin
DO $$
DECLARE
    faults text;
    kind text;
BEGIN
    SELECT CASE relkind
        WHEN 'p' THEN 'a partitioned table'
        WHEN 'f' THEN 'a foreign table'
        WHEN 'm' THEN 'a materialized view'
        ELSE 'no table'
    END
    INTO kind
    FROM pg_catalog.pg_class
    WHERE oid = 'coordination_audit_gaps'::regclass
        AND relkind NOT IN ('r', 'v');
    IF kind IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_gaps stands already and is %', kind
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    SELECT string_agg(
        format('%s must be %s NOT NULL%s', wanted.name, wanted.label, CASE wanted.identity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' END),
        '; ' ORDER BY wanted.name
    )
    INTO faults
    FROM (VALUES
        ('gap_id', 'uuid', 'uuid'::regtype, ''),
        ('seq', 'bigint', 'bigint'::regtype, 'a'),
        ('dropped_safety', 'bigint', 'bigint'::regtype, ''),
        ('dropped_reliability', 'bigint', 'bigint'::regtype, ''),
        ('dropped_cost', 'bigint', 'bigint'::regtype, ''),
        ('dropped_performance', 'bigint', 'bigint'::regtype, ''),
        ('dropped_unknown', 'bigint', 'bigint'::regtype, ''),
        ('first_audit_id', 'uuid', 'uuid'::regtype, ''),
        ('last_audit_id', 'uuid', 'uuid'::regtype, ''),
        ('lost_from', 'timestamp with time zone', 'timestamptz'::regtype, ''),
        ('lost_until', 'timestamp with time zone', 'timestamptz'::regtype, ''),
        ('cause', 'text', 'text'::regtype, ''),
        ('recorded_at', 'timestamp with time zone', 'timestamptz'::regtype, '')
    ) AS wanted (name, label, type, identity)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_gaps'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND found.attnotnull
        AND found.attidentity = wanted.identity
        AND found.atttypid = wanted.type
        AND found.atttypmod = -1
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_gaps stands already and has another shape: %', faults
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    IF NOT EXISTS (
        SELECT 1
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'coordination_audit_gaps'::regclass
            AND i.indisprimary
            AND i.indnkeyatts = 1
            AND a.attname = 'gap_id'
    ) THEN
        RAISE EXCEPTION 'coordination_audit_gaps stands already and its primary key is not gap_id alone'
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    SELECT string_agg(format('%I', attname), ', ')
    INTO faults
    FROM pg_catalog.pg_attribute
    WHERE attrelid = 'coordination_audit_gaps'::regclass
        AND attnum > 0
        AND NOT attisdropped
        AND attnotnull
        AND NOT atthasdef
        AND attidentity = ''
        AND attname NOT IN (
            'gap_id', 'dropped_safety', 'dropped_reliability', 'dropped_cost', 'dropped_performance', 'dropped_unknown',
            'first_audit_id', 'last_audit_id', 'lost_from', 'lost_until', 'cause', 'recorded_at'
        );
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_gaps stands already and has columns that the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or drop these columns or give them a default, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Refuses what would keep a record from being stored, or found, as it was written.
-- +goose StatementBegin
DO $$
DECLARE
    relation CONSTANT oid := 'coordination_audit_gaps'::regclass;
    own_columns CONSTANT name[] := ARRAY[
        'gap_id', 'dropped_safety', 'dropped_reliability', 'dropped_cost', 'dropped_performance',
        'dropped_unknown', 'first_audit_id', 'last_audit_id', 'lost_from', 'lost_until', 'cause',
        'recorded_at'
    ];
    faults text;
BEGIN
    SELECT string_agg(fault, '; ' ORDER BY fault)
    INTO faults
    FROM (
        SELECT format('rule %I, which rewrites statements', rulename) AS fault
        FROM pg_catalog.pg_rewrite
        WHERE ev_class = relation AND ev_type <> '1'
        UNION ALL
        SELECT format('trigger %I, which can change or drop a row', tgname)
        FROM pg_catalog.pg_trigger
        WHERE tgrelid = relation AND NOT tgisinternal AND tgenabled <> 'D'
            AND tgtype & 3 = 3 -- BEFORE … FOR EACH ROW
            AND tgname NOT IN ('coordination_audit_gaps_refuse_update_delete')
        UNION ALL
        SELECT format('column %I, whose collation %I takes different texts for equal', attname, collname)
        FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_collation ON pg_collation.oid = attcollation
        WHERE attrelid = relation AND NOT attisdropped AND NOT collisdeterministic AND attname = ANY (own_columns)
        UNION ALL
        SELECT format('column %I, which the server generates', attname)
        FROM pg_catalog.pg_attribute
        WHERE attrelid = relation AND NOT attisdropped AND attname = ANY (own_columns)
            AND (attgenerated <> '' OR attidentity <> '')
        UNION ALL
        SELECT format('unique index %I, which refuses records', relname)
        FROM pg_catalog.pg_index JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = relation AND indisunique AND NOT indisprimary
        UNION ALL
        SELECT 'a deferrable primary key, which ON CONFLICT does not take'
        FROM pg_catalog.pg_index
        WHERE indrelid = relation AND indisprimary AND NOT indimmediate
        UNION ALL
        SELECT format('%s %I, which refuses records', CASE contype WHEN 'f' THEN 'foreign key' ELSE 'exclusion constraint' END, conname)
        FROM pg_catalog.pg_constraint
        WHERE conrelid = relation AND contype IN ('f', 'x')
        UNION ALL
        SELECT format('child table %I, whose rows nothing guards', relname)
        FROM pg_catalog.pg_inherits JOIN pg_catalog.pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = relation
        UNION ALL
        SELECT format('parent table %I', relname)
        FROM pg_catalog.pg_inherits JOIN pg_catalog.pg_class ON pg_class.oid = inhparent
        WHERE inhrelid = relation
        UNION ALL
        SELECT 'row-level security, which hides records'
        FROM pg_catalog.pg_class
        WHERE oid = relation AND (relrowsecurity OR relforcerowsecurity)
        UNION ALL
        SELECT 'a type that it is made of (CREATE TABLE … OF)'
        FROM pg_catalog.pg_class
        WHERE oid = relation AND reloftype <> 0
    ) AS found;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_gaps stands already and has what the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or remove these from it, and migrate again.';
    END IF;

    SELECT string_agg(format('%I', conname), ', ' ORDER BY conname)
    INTO faults
    FROM pg_catalog.pg_constraint
    WHERE conrelid = relation AND contype = 'c'
        AND conname NOT LIKE 'coordination!_audit!_%' ESCAPE '!';
    IF faults IS NOT NULL THEN
        RAISE WARNING 'coordination_audit_gaps has CHECKs that are not the trail''s, and a record that breaks one is refused: %', faults;
    END IF;
END
$$;
-- +goose StatementEnd

-- An UNLOGGED table is empty after a crash of the server.
-- +goose StatementBegin
DO $$
BEGIN
    IF (SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = 'coordination_audit_gaps'::regclass) = 'u' THEN
        ALTER TABLE coordination_audit_gaps SET LOGGED;
        RAISE WARNING 'coordination_audit_gaps was UNLOGGED, which loses its rows in a crash; it is logged now';
    END IF;
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_gaps ALTER COLUMN recorded_at SET DEFAULT clock_timestamp();

-- Dropped first, so that a table restored without the version table is adopted too.
ALTER TABLE coordination_audit_gaps DROP CONSTRAINT IF EXISTS coordination_audit_gaps_dropped_not_negative;
ALTER TABLE coordination_audit_gaps DROP CONSTRAINT IF EXISTS coordination_audit_gaps_dropped_something;
ALTER TABLE coordination_audit_gaps DROP CONSTRAINT IF EXISTS coordination_audit_gaps_lost_valid;
ALTER TABLE coordination_audit_gaps DROP CONSTRAINT IF EXISTS coordination_audit_gaps_cause_valid;
ALTER TABLE coordination_audit_gaps DROP CONSTRAINT IF EXISTS coordination_audit_gaps_recorded_at_finite;

-- least and greatest instead of a sum, which could overflow.
ALTER TABLE coordination_audit_gaps ADD CONSTRAINT coordination_audit_gaps_dropped_not_negative
    CHECK (least(dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown) >= 0) NOT VALID;
ALTER TABLE coordination_audit_gaps ADD CONSTRAINT coordination_audit_gaps_dropped_something
    CHECK (greatest(dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown) > 0) NOT VALID;
ALTER TABLE coordination_audit_gaps ADD CONSTRAINT coordination_audit_gaps_lost_valid
    CHECK (lost_from >= '0001-01-01 00:00:00+00' AND lost_until >= lost_from AND lost_until < '10000-01-01 00:00:00+00') NOT VALID;
ALTER TABLE coordination_audit_gaps ADD CONSTRAINT coordination_audit_gaps_cause_valid
    CHECK (btrim(cause, E' \t\n\x0b\f\r') <> '' AND char_length(cause) <= 500) NOT VALID;
ALTER TABLE coordination_audit_gaps ADD CONSTRAINT coordination_audit_gaps_recorded_at_finite
    CHECK (isfinite(recorded_at)) NOT VALID;

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT conname
        FROM pg_catalog.pg_constraint
        WHERE conrelid = 'coordination_audit_gaps'::regclass
            AND conname LIKE 'coordination!_audit!_gaps!_%' ESCAPE '!'
            AND NOT convalidated
        ORDER BY conname
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE coordination_audit_gaps VALIDATE CONSTRAINT %I', name);
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'constraint % stays NOT VALID: gaps from before the adoption break it; they are kept, and new ones must hold it', name;
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd

DROP TRIGGER IF EXISTS coordination_audit_gaps_refuse_update_delete ON coordination_audit_gaps;
CREATE TRIGGER coordination_audit_gaps_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_gaps
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();

DROP TRIGGER IF EXISTS coordination_audit_gaps_refuse_truncate ON coordination_audit_gaps;
CREATE TRIGGER coordination_audit_gaps_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_gaps
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

-- ALWAYS also fires under session_replication_role = replica, which disables plain
-- triggers.
ALTER TABLE coordination_audit_gaps ENABLE ALWAYS TRIGGER coordination_audit_gaps_refuse_update_delete;
ALTER TABLE coordination_audit_gaps ENABLE ALWAYS TRIGGER coordination_audit_gaps_refuse_truncate;

-- +goose Down
LOCK TABLE coordination_audit_gaps IN ACCESS EXCLUSIVE MODE;

-- A gap is the only trace of the records it counts. It is dropped only on explicit
-- request: migrate down --allow-data-loss, which sets coordaudit.allow_data_loss.
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND EXISTS (SELECT 1 FROM coordination_audit_gaps)
    THEN
        RAISE EXCEPTION 'coordination_audit_gaps holds gaps, dropping it would destroy them'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop them all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

DROP TABLE coordination_audit_gaps;
