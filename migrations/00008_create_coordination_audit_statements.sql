-- Creates the table of statements. A source, which is one run of a recorder or one
-- import, numbers the records that it accepts. Its statements say how far it has come
-- and which numbers never become a row, so that a reader can tell a record that is
-- missing from one that was never stored.
--
-- Why a table of its own: a statement is not a decision, has no tenant and is about
-- many records. It is immutable in the same way, by the function of 00001. Ranges of
-- numbers are multiranges, which the server can add and subtract.
--
-- The key is the source and the statement's number. It serves the only query by itself,
-- the last statement of a source, and lets a distributed table keep a source together.
--
-- Locks: none on coordination_audit_records. No session uses the new table yet.

-- +goose Up
CREATE TABLE IF NOT EXISTS coordination_audit_statements (
    source_id         uuid           NOT NULL,
    statement_no      bigint         NOT NULL,
    seq               bigint         NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind              varchar(20)    NOT NULL,
    accepted_through  bigint         NOT NULL,
    reserved_through  bigint         NOT NULL,
    dropped           int8multirange NOT NULL,
    rejected          int8multirange NOT NULL,
    already_persisted int8multirange NOT NULL,
    waiting           int8multirange NOT NULL,
    waiting_continues boolean        NOT NULL,
    label             text           NOT NULL,
    made_at           timestamptz    NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source_id, statement_no)
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
    WHERE oid = 'coordination_audit_statements'::regclass
        AND relkind NOT IN ('r', 'v');
    IF kind IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_statements stands already and is %', kind
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    SELECT string_agg(
        format('%s must be %s NOT NULL%s', wanted.name, wanted.label, CASE wanted.identity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' END),
        '; ' ORDER BY wanted.name
    )
    INTO faults
    FROM (VALUES
        ('source_id', 'uuid', 'uuid'::regtype, -1, ''),
        ('statement_no', 'bigint', 'bigint'::regtype, -1, ''),
        ('seq', 'bigint', 'bigint'::regtype, -1, 'a'),
        ('kind', 'character varying(20)', 'varchar'::regtype, 24, ''),
        ('accepted_through', 'bigint', 'bigint'::regtype, -1, ''),
        ('reserved_through', 'bigint', 'bigint'::regtype, -1, ''),
        ('dropped', 'int8multirange', 'int8multirange'::regtype, -1, ''),
        ('rejected', 'int8multirange', 'int8multirange'::regtype, -1, ''),
        ('already_persisted', 'int8multirange', 'int8multirange'::regtype, -1, ''),
        ('waiting', 'int8multirange', 'int8multirange'::regtype, -1, ''),
        ('waiting_continues', 'boolean', 'boolean'::regtype, -1, ''),
        ('label', 'text', 'text'::regtype, -1, ''),
        ('made_at', 'timestamp with time zone', 'timestamptz'::regtype, -1, '')
    ) AS wanted (name, label, type, modifier, identity)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_statements'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND found.attnotnull
        AND found.attidentity = wanted.identity
        AND found.atttypid = wanted.type
        AND found.atttypmod = wanted.modifier
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_statements stands already and has another shape: %', faults
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    IF NOT EXISTS (
        SELECT 1
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS s ON s.attrelid = i.indrelid AND s.attnum = i.indkey[0]
        JOIN pg_catalog.pg_attribute AS n ON n.attrelid = i.indrelid AND n.attnum = i.indkey[1]
        WHERE i.indrelid = 'coordination_audit_statements'::regclass
            AND i.indisprimary
            AND i.indnkeyatts = 2
            AND s.attname = 'source_id'
            AND n.attname = 'statement_no'
    ) THEN
        RAISE EXCEPTION 'coordination_audit_statements stands already and its primary key is not (source_id, statement_no)'
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    SELECT string_agg(format('%I', attname), ', ')
    INTO faults
    FROM pg_catalog.pg_attribute
    WHERE attrelid = 'coordination_audit_statements'::regclass
        AND attnum > 0
        AND NOT attisdropped
        AND attnotnull
        AND NOT atthasdef
        AND attidentity = ''
        AND attname NOT IN (
            'source_id', 'statement_no', 'kind', 'accepted_through', 'reserved_through', 'dropped', 'rejected',
            'already_persisted', 'waiting', 'waiting_continues', 'label', 'made_at'
        );
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_statements stands already and has columns that the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or drop these columns or give them a default, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Refuses what would keep a statement from being stored, or found, as it was written.
-- +goose StatementBegin
DO $$
DECLARE
    relation CONSTANT oid := 'coordination_audit_statements'::regclass;
    own_columns CONSTANT name[] := ARRAY[
        'source_id', 'statement_no', 'kind', 'accepted_through', 'reserved_through', 'dropped', 'rejected',
        'already_persisted', 'waiting', 'waiting_continues', 'label', 'made_at'
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
            AND tgname NOT IN ('coordination_audit_statements_refuse_update_delete')
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
        SELECT format('unique index %I, which refuses statements', relname)
        FROM pg_catalog.pg_index JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = relation AND indisunique AND NOT indisprimary
        UNION ALL
        SELECT 'a deferrable primary key, which ON CONFLICT does not take'
        FROM pg_catalog.pg_index
        WHERE indrelid = relation AND indisprimary AND NOT indimmediate
        UNION ALL
        SELECT format('%s %I, which refuses statements', CASE contype WHEN 'f' THEN 'foreign key' ELSE 'exclusion constraint' END, conname)
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
        SELECT 'row-level security, which hides statements'
        FROM pg_catalog.pg_class
        WHERE oid = relation AND (relrowsecurity OR relforcerowsecurity)
        UNION ALL
        SELECT 'a type that it is made of (CREATE TABLE … OF)'
        FROM pg_catalog.pg_class
        WHERE oid = relation AND reloftype <> 0
    ) AS found;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_statements stands already and has what the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or remove these from it, and migrate again.';
    END IF;

    SELECT string_agg(format('%I', conname), ', ' ORDER BY conname)
    INTO faults
    FROM pg_catalog.pg_constraint
    WHERE conrelid = relation AND contype = 'c'
        AND conname NOT LIKE 'coordination!_audit!_%' ESCAPE '!';
    IF faults IS NOT NULL THEN
        RAISE WARNING 'coordination_audit_statements has CHECKs that are not the trail''s, and a statement that breaks one is refused: %', faults;
    END IF;
END
$$;
-- +goose StatementEnd

-- An UNLOGGED table is empty after a crash of the server.
-- +goose StatementBegin
DO $$
BEGIN
    IF (SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = 'coordination_audit_statements'::regclass) = 'u' THEN
        ALTER TABLE coordination_audit_statements SET LOGGED;
        RAISE WARNING 'coordination_audit_statements was UNLOGGED, which loses its rows in a crash; it is logged now';
    END IF;
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_statements ALTER COLUMN made_at SET DEFAULT clock_timestamp();

-- Dropped first, so that a table restored without the version table is adopted too.
ALTER TABLE coordination_audit_statements DROP CONSTRAINT IF EXISTS coordination_audit_statements_kind_valid;
ALTER TABLE coordination_audit_statements DROP CONSTRAINT IF EXISTS coordination_audit_statements_numbers_valid;
ALTER TABLE coordination_audit_statements DROP CONSTRAINT IF EXISTS coordination_audit_statements_ranges_valid;
ALTER TABLE coordination_audit_statements DROP CONSTRAINT IF EXISTS coordination_audit_statements_ranges_bounded;
ALTER TABLE coordination_audit_statements DROP CONSTRAINT IF EXISTS coordination_audit_statements_label_valid;
ALTER TABLE coordination_audit_statements DROP CONSTRAINT IF EXISTS coordination_audit_statements_made_at_finite;

-- The size is that of the texts, because the stored form may be compressed.
ALTER TABLE coordination_audit_statements ADD CONSTRAINT coordination_audit_statements_kind_valid
    CHECK (kind IN ('opened', 'periodic', 'closed', 'imported')) NOT VALID;
ALTER TABLE coordination_audit_statements ADD CONSTRAINT coordination_audit_statements_numbers_valid
    CHECK (statement_no >= 1 AND accepted_through >= 0 AND accepted_through <= reserved_through) NOT VALID;
ALTER TABLE coordination_audit_statements ADD CONSTRAINT coordination_audit_statements_ranges_valid
    CHECK (dropped + rejected + already_persisted + waiting <@ '{[1,9223372036854775807)}'::int8multirange) NOT VALID;
ALTER TABLE coordination_audit_statements ADD CONSTRAINT coordination_audit_statements_ranges_bounded
    CHECK (octet_length(dropped::text) + octet_length(rejected::text) + octet_length(already_persisted::text) + octet_length(waiting::text) <= 65536) NOT VALID;
ALTER TABLE coordination_audit_statements ADD CONSTRAINT coordination_audit_statements_label_valid
    CHECK (char_length(label) <= 200) NOT VALID;
ALTER TABLE coordination_audit_statements ADD CONSTRAINT coordination_audit_statements_made_at_finite
    CHECK (isfinite(made_at)) NOT VALID;

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT conname
        FROM pg_catalog.pg_constraint
        WHERE conrelid = 'coordination_audit_statements'::regclass
            AND conname LIKE 'coordination!_audit!_statements!_%' ESCAPE '!'
            AND NOT convalidated
        ORDER BY conname
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE coordination_audit_statements VALIDATE CONSTRAINT %I', name);
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'constraint % stays NOT VALID: statements from before the adoption break it; they are kept, and new ones must hold it', name;
        END;
    END LOOP;
END
$$;
-- +goose StatementEnd

DROP TRIGGER IF EXISTS coordination_audit_statements_refuse_update_delete ON coordination_audit_statements;
CREATE TRIGGER coordination_audit_statements_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_statements
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();

DROP TRIGGER IF EXISTS coordination_audit_statements_refuse_truncate ON coordination_audit_statements;
CREATE TRIGGER coordination_audit_statements_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_statements
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

-- ALWAYS also fires under session_replication_role = replica, which disables plain
-- triggers.
ALTER TABLE coordination_audit_statements ENABLE ALWAYS TRIGGER coordination_audit_statements_refuse_update_delete;
ALTER TABLE coordination_audit_statements ENABLE ALWAYS TRIGGER coordination_audit_statements_refuse_truncate;

-- +goose Down
LOCK TABLE coordination_audit_statements IN ACCESS EXCLUSIVE MODE;

-- Without its statements, a source cannot be shown to be complete. They are dropped
-- only on explicit request: migrate down --allow-data-loss, which sets
-- coordaudit.allow_data_loss.
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND EXISTS (SELECT 1 FROM coordination_audit_statements)
    THEN
        RAISE EXCEPTION 'coordination_audit_statements holds statements, dropping it would destroy them'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop them all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

DROP TABLE coordination_audit_statements;
