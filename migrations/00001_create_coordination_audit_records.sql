-- Creates the trail's table, or adopts the one that the predecessor left behind.
--
-- Why one file for both: the table must never stand without its guards, so the
-- columns, the CHECKs and the triggers come in one transaction.
--
-- Adoption keeps every row byte for byte. It replaces the predecessor's CHECKs
-- and trigger by ours and drops the server's default for audit_id: an id made by
-- the server cannot be given again by a retry. Rows that break one of the new
-- CHECKs are kept; that CHECK then stays NOT VALID and holds new rows only, and
-- the migration warns about it by name. A table of another shape is refused.
--
-- Locks: ACCESS EXCLUSIVE on coordination_audit_records until the commit. On a
-- new table that is nothing. Adopting one rewrites it to number its rows (seq),
-- about 2 s for a million rows; writers wait that long.

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

LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE;

-- CREATE TABLE IF NOT EXISTS is content with any table of that name; we are not.
-- +goose StatementBegin
DO $$
DECLARE
    faults text;
BEGIN
    SELECT string_agg(format('%s must be %s%s', wanted.name, wanted.type, CASE WHEN wanted.required THEN ' NOT NULL' END), '; ')
    INTO faults
    FROM (VALUES
        ('audit_id', 'uuid', true),
        ('envelope_id', 'character varying(100)', true),
        ('envelope_class', 'character varying(20)', true),
        ('decision', 'character varying(20)', true),
        ('reason', 'text', true),
        ('decision_timestamp', 'timestamp with time zone', true),
        ('created_at', 'timestamp with time zone', true),
        ('conflicting_envelope_id', 'character varying(100)', false),
        ('preempting_envelope_id', 'character varying(100)', false),
        ('active_envelopes_count', 'integer', true),
        ('tenant_id', 'character varying(100)', false)
    ) AS wanted (name, type, required)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_records'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND pg_catalog.format_type(found.atttypid, found.atttypmod) = wanted.type
        AND found.attnotnull = wanted.required
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records stands already and has another shape: %', faults
            USING HINT = 'Rename that table, or bring it into the predecessor''s shape, and migrate again.';
    END IF;

    IF NOT EXISTS (
        SELECT
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

    -- A column of somebody else's must not stop our INSERTs, and seq must be ours.
    SELECT string_agg(format('%I', attname), ', ')
    INTO faults
    FROM pg_catalog.pg_attribute
    WHERE attrelid = 'coordination_audit_records'::regclass
        AND attnum > 0
        AND NOT attisdropped
        AND CASE attname
            WHEN 'seq' THEN atttypid <> 'bigint'::regtype OR attidentity <> 'a'
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

DROP TRIGGER IF EXISTS coordination_audit_immutable ON coordination_audit_records;

-- Another table may have borrowed the function: then it stays.
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

-- The database's clock at the insertion. now() is the transaction's start, which
-- in a caller's long transaction lies before the decision itself.
ALTER TABLE coordination_audit_records ALTER COLUMN created_at SET DEFAULT clock_timestamp();

-- The order of insertion. It has no UNIQUE, so that the table can be distributed by audit_id.
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY;

-- Dropped first, so that a table restored without the version table is adopted too.
ALTER TABLE coordination_audit_records
    DROP CONSTRAINT IF EXISTS coordination_audit_envelope_id_not_empty,
    DROP CONSTRAINT IF EXISTS coordination_audit_envelope_class_valid,
    DROP CONSTRAINT IF EXISTS coordination_audit_decision_valid,
    DROP CONSTRAINT IF EXISTS coordination_audit_reason_valid,
    DROP CONSTRAINT IF EXISTS coordination_audit_decision_timestamp_valid,
    DROP CONSTRAINT IF EXISTS coordination_audit_optional_ids_not_empty,
    DROP CONSTRAINT IF EXISTS coordination_audit_active_envelopes_count_valid,
    DROP CONSTRAINT IF EXISTS coordination_audit_applied_has_no_conflicting_id,
    DROP CONSTRAINT IF EXISTS coordination_audit_only_preempted_has_preempting_id;

-- What audit.Record.Validate refuses, refused here too: the library is not the
-- only program that can open a connection.
ALTER TABLE coordination_audit_records
    ADD CONSTRAINT coordination_audit_envelope_id_not_empty
        CHECK (envelope_id <> '') NOT VALID,
    ADD CONSTRAINT coordination_audit_envelope_class_valid
        CHECK (envelope_class IN ('SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE', 'UNKNOWN')) NOT VALID,
    ADD CONSTRAINT coordination_audit_decision_valid
        CHECK (decision IN ('APPLIED', 'REJECTED', 'PREEMPTED')) NOT VALID,
    ADD CONSTRAINT coordination_audit_reason_valid
        CHECK (btrim(reason, E' \t\n\v\f\r') <> '' AND octet_length(reason) <= 65536) NOT VALID,
    ADD CONSTRAINT coordination_audit_decision_timestamp_valid
        CHECK (decision_timestamp >= '0001-01-01 00:00:00+00' AND decision_timestamp < '10000-01-01 00:00:00+00') NOT VALID,
    ADD CONSTRAINT coordination_audit_optional_ids_not_empty
        CHECK (conflicting_envelope_id <> '' AND preempting_envelope_id <> '' AND tenant_id <> '') NOT VALID,
    ADD CONSTRAINT coordination_audit_active_envelopes_count_valid
        CHECK (active_envelopes_count >= 0) NOT VALID,
    ADD CONSTRAINT coordination_audit_applied_has_no_conflicting_id
        CHECK (decision <> 'APPLIED' OR conflicting_envelope_id IS NULL) NOT VALID,
    ADD CONSTRAINT coordination_audit_only_preempted_has_preempting_id
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
            AND conname LIKE 'coordination\_audit\_%'
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

-- ALWAYS: also under session_replication_role = replica, which switches off plain triggers.
ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_update_delete;
ALTER TABLE coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate;

-- +goose Down
-- A trail with records in it is dropped only by someone who says so:
-- migrate down --allow-data-loss, which sets coordaudit.allow_data_loss.
-- +goose StatementBegin
DO $$
BEGIN
    LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE;
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND EXISTS (SELECT FROM coordination_audit_records)
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
