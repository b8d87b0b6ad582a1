-- Creates the trail's table, or adopts the one that the predecessor left behind.
--
-- Why one file does both: the table must never exist without its guards, so the
-- columns, the CHECKs and the triggers come in one transaction.
--
-- Adoption keeps every row byte for byte. It replaces the predecessor's CHECKs and
-- trigger with ours, and drops the server's default for audit_id, because a retry
-- cannot repeat an id that the server generated. Rows that violate one of the new
-- CHECKs are kept. That CHECK then stays NOT VALID and applies to new rows only, and
-- the migration warns about it by name. An UNLOGGED table becomes a logged one. The
-- migration refuses, with the cause, a table of another shape, and one with rules,
-- triggers, constraints or collations under which a record is not stored or not found
-- as it was written.
--
-- Types are compared by oid and modifier, because the text of format_type depends on
-- the session's quote_all_identifiers.
--
-- Locks: ACCESS EXCLUSIVE on coordination_audit_records until the commit. On a new
-- table no one waits for it. Adoption rewrites the table to number its rows (seq),
-- which takes about 2 s for a million rows. Writers wait that long.

-- +goose Up
CREATE TABLE IF NOT EXISTS coordination_audit_records (
    audit_id                uuid         PRIMARY KEY,
    envelope_id             varchar(100) NOT NULL,
    envelope_class          varchar(20)  NOT NULL,
    decision                varchar(20)  NOT NULL,
    reason                  text         NOT NULL,
    decision_timestamp      timestamptz  NOT NULL,
    created_at              timestamptz  NOT NULL,
    conflicting_envelope_id varchar(100),
    preempting_envelope_id  varchar(100),
    active_envelopes_count  integer      NOT NULL DEFAULT 0,
    tenant_id               varchar(100)
);

-- CREATE TABLE IF NOT EXISTS accepts any relation of that name, and this migration
-- does not. Views are refused below, by their columns. The others cannot be locked.
-- +goose StatementBegin
DO $$
DECLARE
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
    WHERE oid = 'coordination_audit_records'::regclass
        AND relkind NOT IN ('r', 'v');

    IF kind IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records stands already and is %', kind
            USING HINT = 'Rename it, or bring its rows into an ordinary table of that name, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE;

-- +goose StatementBegin
DO $$
DECLARE
    faults text;
BEGIN
    SELECT string_agg(format('%s must be %s%s', wanted.name, wanted.label, CASE WHEN wanted.required THEN ' NOT NULL' END), '; ')
    INTO faults
    FROM (VALUES
        ('audit_id', 'uuid', 'uuid'::regtype, -1, true),
        ('envelope_id', 'character varying(100)', 'varchar'::regtype, 104, true),
        ('envelope_class', 'character varying(20)', 'varchar'::regtype, 24, true),
        ('decision', 'character varying(20)', 'varchar'::regtype, 24, true),
        ('reason', 'text', 'text'::regtype, -1, true),
        ('decision_timestamp', 'timestamp with time zone', 'timestamptz'::regtype, -1, true),
        ('created_at', 'timestamp with time zone', 'timestamptz'::regtype, -1, true),
        ('conflicting_envelope_id', 'character varying(100)', 'varchar'::regtype, 104, false),
        ('preempting_envelope_id', 'character varying(100)', 'varchar'::regtype, 104, false),
        ('active_envelopes_count', 'integer', 'integer'::regtype, -1, true),
        ('tenant_id', 'character varying(100)', 'varchar'::regtype, 104, false)
    ) AS wanted (name, label, type, modifier, required)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_records'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND found.atttypid = wanted.type
        AND found.atttypmod = wanted.modifier
        AND found.attnotnull = wanted.required
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records stands already and has another shape: %', faults
            USING HINT = 'Rename that table, or bring it into the predecessor''s shape, and migrate again.';
    END IF;

    IF NOT EXISTS (
        SELECT 1
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'coordination_audit_records'::regclass
            AND i.indisprimary
            AND i.indnkeyatts = 1
            AND a.attname = 'audit_id'
    ) THEN
        RAISE EXCEPTION 'coordination_audit_records stands already and its primary key is not audit_id alone'
            USING HINT = 'Rename that table, or make audit_id its primary key, and migrate again.';
    END IF;

    -- A foreign column must not make our INSERTs fail, and seq must be ours.
    SELECT string_agg(format('%I', attname), ', ')
    INTO faults
    FROM pg_catalog.pg_attribute
    WHERE attrelid = 'coordination_audit_records'::regclass
        AND attnum > 0
        AND NOT attisdropped
        AND CASE attname
            WHEN 'seq' THEN atttypid <> 'bigint'::regtype OR attidentity = ''
            ELSE attnotnull AND NOT atthasdef AND attidentity = '' AND attname NOT IN (
                'audit_id', 'envelope_id', 'envelope_class', 'decision', 'reason',
                'decision_timestamp', 'created_at', 'active_envelopes_count'
            )
        END;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records stands already and has columns that the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or drop these columns or give them a default, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Refuses what would keep a record from being stored, or found, as it was written.
-- +goose StatementBegin
DO $$
DECLARE
    relation CONSTANT oid := 'coordination_audit_records'::regclass;
    own_columns CONSTANT name[] := ARRAY[
        'audit_id', 'envelope_id', 'envelope_class', 'decision', 'reason', 'decision_timestamp',
        'created_at', 'conflicting_envelope_id', 'preempting_envelope_id', 'active_envelopes_count',
        'tenant_id', 'target_subsystem', 'target_parameter', 'counterpart_class'
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
            AND tgname NOT IN ('coordination_audit_immutable', 'coordination_audit_refuse_update_delete')
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
        RAISE EXCEPTION 'coordination_audit_records stands already and has what the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or remove these from it, and migrate again.';
    END IF;

    SELECT string_agg(format('%I', conname), ', ' ORDER BY conname)
    INTO faults
    FROM pg_catalog.pg_constraint
    WHERE conrelid = relation AND contype = 'c'
        AND conname NOT LIKE 'coordination!_audit!_%' ESCAPE '!'
        AND conname NOT IN ('audit_envelope_class_valid', 'audit_decision_valid');
    IF faults IS NOT NULL THEN
        RAISE WARNING 'coordination_audit_records has CHECKs that are not the trail''s, and a record that breaks one is refused: %', faults;
    END IF;
END
$$;
-- +goose StatementEnd

-- Repairs what can be repaired. An UNLOGGED table is empty after a crash of the
-- server, and any role with INSERT can forge a seq that is BY DEFAULT.
-- +goose StatementBegin
DO $$
BEGIN
    IF (SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = 'coordination_audit_records'::regclass) = 'u' THEN
        ALTER TABLE coordination_audit_records SET LOGGED;
        RAISE WARNING 'coordination_audit_records was UNLOGGED, which loses its rows in a crash; it is logged now';
    END IF;
    IF EXISTS (
        SELECT 1
        FROM pg_catalog.pg_attribute
        WHERE attrelid = 'coordination_audit_records'::regclass
            AND attname = 'seq'
            AND attidentity = 'd'
    ) THEN
        ALTER TABLE coordination_audit_records ALTER COLUMN seq SET GENERATED ALWAYS;
    END IF;
END
$$;
-- +goose StatementEnd

DROP TRIGGER IF EXISTS coordination_audit_immutable ON coordination_audit_records;

-- Another table may use the function. Then it stays.
-- +goose StatementBegin
DO $$
BEGIN
    DROP FUNCTION IF EXISTS prevent_coordination_audit_mutation();
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE WARNING 'function prevent_coordination_audit_mutation() stays, something else uses it';
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS audit_envelope_class_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS audit_decision_valid;
ALTER TABLE coordination_audit_records ALTER COLUMN audit_id DROP DEFAULT;
ALTER TABLE coordination_audit_records ALTER COLUMN active_envelopes_count SET DEFAULT 0;

-- The database's clock at the insertion. now() is the start of the transaction, which
-- in a long transaction of the caller is before the decision itself.
ALTER TABLE coordination_audit_records ALTER COLUMN created_at SET DEFAULT clock_timestamp();

-- The order of insertion. It has no UNIQUE, so that the table can be distributed by
-- audit_id.
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY;

-- Dropped first, so that a table restored without the version table is adopted too.
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_envelope_id_not_empty;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_envelope_class_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_decision_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_reason_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_decision_timestamp_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_created_at_finite;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_optional_ids_not_empty;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_active_envelopes_count_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_applied_has_no_conflicting_id;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_only_preempted_has_preempting_id;

-- The database also refuses what audit.Record.Validate refuses, because other programs
-- can write too. The database sets created_at itself, but a role that may set it could
-- make it infinite, which no reader of times understands.
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_envelope_id_not_empty
    CHECK (envelope_id <> '') NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_envelope_class_valid
    CHECK (envelope_class IN ('SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE', 'UNKNOWN')) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_decision_valid
    CHECK (decision IN ('APPLIED', 'REJECTED', 'PREEMPTED')) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_reason_valid
    CHECK (btrim(reason, E' \t\n\x0b\f\r') <> '' AND octet_length(reason) <= 65536) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_decision_timestamp_valid
    CHECK (decision_timestamp >= '0001-01-01 00:00:00+00' AND decision_timestamp < '10000-01-01 00:00:00+00') NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_created_at_finite
    CHECK (isfinite(created_at)) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_optional_ids_not_empty
    CHECK (conflicting_envelope_id <> '' AND preempting_envelope_id <> '' AND tenant_id <> '') NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_active_envelopes_count_valid
    CHECK (active_envelopes_count >= 0) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_applied_has_no_conflicting_id
    CHECK (decision <> 'APPLIED' OR conflicting_envelope_id IS NULL) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_only_preempted_has_preempting_id
    CHECK ((decision = 'PREEMPTED') = (preempting_envelope_id IS NOT NULL)) NOT VALID;

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT conname
        FROM pg_catalog.pg_constraint
        WHERE conrelid = 'coordination_audit_records'::regclass
            AND conname LIKE 'coordination!_audit!_%' ESCAPE '!'
            AND NOT convalidated
        ORDER BY conname
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE coordination_audit_records VALIDATE CONSTRAINT %I', name);
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'constraint % stays NOT VALID: rows from before the adoption break it; they are kept, and new rows must hold it', name;
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- It only raises: a trigger that reads or notifies cannot run on a distributed table.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit records are immutable: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation',
              HINT = 'A wrong record stays on record: persist a new one that corrects it.';
END
$$;
-- +goose StatementEnd

DROP TRIGGER IF EXISTS coordination_audit_refuse_update_delete ON coordination_audit_records;
CREATE TRIGGER coordination_audit_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_records
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();

DROP TRIGGER IF EXISTS coordination_audit_refuse_truncate ON coordination_audit_records;
CREATE TRIGGER coordination_audit_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

-- ALWAYS also fires under session_replication_role = replica, which disables plain
-- triggers.
ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete;
ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate;

-- +goose Down
LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE;

-- A trail with records is dropped only on explicit request: migrate down
-- --allow-data-loss, which sets coordaudit.allow_data_loss. The migrator runs this
-- block, which changes nothing, for every migration that it is going to revert, before
-- it reverts the first.
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND EXISTS (SELECT 1 FROM coordination_audit_records)
    THEN
        RAISE EXCEPTION 'coordination_audit_records holds records, dropping it would destroy them'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop them all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

DROP TABLE coordination_audit_records;
DROP FUNCTION coordination_audit_refuse_change();
