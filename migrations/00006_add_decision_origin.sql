-- Adds why and by whom a decision was made, the records that it belongs to, and where
-- the record came from.
--
-- Why: a column that is missing when a row is written is missing forever. All of them
-- are optional. Older rows have none, the previous release writes none, and both stay
-- valid. A column that is NULL takes no space besides its bit in the row's header.
--
-- The links are no foreign keys. They may name a record that comes later, or never,
-- and a foreign key would refuse it and lock what it names.
--
-- Statements give ordinals as ranges that end below a bigint, so the highest bigint is
-- no ordinal: the event of an expired record could not name it.
--
-- The CHECK of details counts the bytes of jsonb's own text, which is what readers get.
--
-- Locks: ACCESS EXCLUSIVE on coordination_audit_records until the commit, which
-- follows at once. Columns without a default rewrite nothing, and the CHECKs are NOT
-- VALID here, so no row is read. 00007 validates them under a weaker lock.
--
-- Each ALTER has one subcommand, because a distributed table refuses several.

-- +goose Up
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS reason_code varchar(100);
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS policy_version varchar(100);
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS actor varchar(100);
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS caused_by uuid;
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS corrects uuid;
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS correlation_id varchar(100);
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS trace_id bytea;
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS span_id bytea;
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS details jsonb;
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS source_id uuid;
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS source_seq bigint;

-- IF NOT EXISTS is for a table restored without the version table. It accepts any
-- column of that name, and this migration does not.
-- +goose StatementBegin
DO $$
DECLARE
    faults text;
BEGIN
    SELECT string_agg(format('%s must be %s and take NULL', wanted.name, wanted.label), '; ')
    INTO faults
    FROM (VALUES
        ('reason_code', 'character varying(100)', 'varchar'::regtype, 104),
        ('policy_version', 'character varying(100)', 'varchar'::regtype, 104),
        ('actor', 'character varying(100)', 'varchar'::regtype, 104),
        ('caused_by', 'uuid', 'uuid'::regtype, -1),
        ('corrects', 'uuid', 'uuid'::regtype, -1),
        ('correlation_id', 'character varying(100)', 'varchar'::regtype, 104),
        ('trace_id', 'bytea', 'bytea'::regtype, -1),
        ('span_id', 'bytea', 'bytea'::regtype, -1),
        ('details', 'jsonb', 'jsonb'::regtype, -1),
        ('source_id', 'uuid', 'uuid'::regtype, -1),
        ('source_seq', 'bigint', 'bigint'::regtype, -1)
    ) AS wanted (name, label, type, modifier)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_records'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND NOT found.attnotnull
        AND found.atttypid = wanted.type
        AND found.atttypmod = wanted.modifier
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records has columns of these names already, and of another shape: %', faults
            USING HINT = 'Rename them, and migrate again.';
    END IF;

    -- 00001 looks for these in the columns that it knows.
    SELECT string_agg(fault, '; ' ORDER BY fault)
    INTO faults
    FROM (
        SELECT format('column %I, whose collation %I takes different texts for equal', attname, collname) AS fault
        FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_collation ON pg_collation.oid = attcollation
        WHERE attrelid = 'coordination_audit_records'::regclass AND NOT collisdeterministic
            AND attname IN ('reason_code', 'policy_version', 'actor', 'correlation_id')
        UNION ALL
        SELECT format('column %I, which the server generates', attname)
        FROM pg_catalog.pg_attribute
        WHERE attrelid = 'coordination_audit_records'::regclass AND (attgenerated <> '' OR attidentity <> '')
            AND attname IN (
                'reason_code', 'policy_version', 'actor', 'caused_by', 'corrects', 'correlation_id',
                'trace_id', 'span_id', 'details', 'source_id', 'source_seq'
            )
    ) AS found;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records has columns that the trail cannot live with: %', faults
            USING HINT = 'Rename them, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Dropped first, so that a table restored without the version table is adopted too.
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_context_not_empty;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_links_to_others;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_trace_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_span_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_details_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_source_valid;

ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_context_not_empty
    CHECK (reason_code <> '' AND policy_version <> '' AND actor <> '' AND correlation_id <> '') NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_links_to_others
    CHECK (caused_by <> audit_id AND corrects <> audit_id) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_trace_valid
    CHECK (octet_length(trace_id) = 16 AND trace_id <> decode(repeat('0', 32), 'hex')) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_span_valid
    CHECK (span_id IS NULL OR trace_id IS NOT NULL AND octet_length(span_id) = 8 AND span_id <> decode(repeat('0', 16), 'hex')) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_details_valid
    CHECK (jsonb_typeof(details) = 'object' AND octet_length(details::text) <= 16384) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_source_valid
    CHECK ((source_id IS NULL) = (source_seq IS NULL) AND source_seq >= 1 AND source_seq < 9223372036854775807) NOT VALID;

-- +goose Down
LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE;

-- Dropping the columns would destroy their values. That is refused without an explicit
-- request: migrate down --allow-data-loss, which sets coordaudit.allow_data_loss.
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND EXISTS (
            SELECT 1
            FROM coordination_audit_records
            WHERE num_nonnulls(
                reason_code, policy_version, actor, caused_by, corrects, correlation_id,
                trace_id, span_id, details, source_id, source_seq
            ) > 0
        )
    THEN
        RAISE EXCEPTION 'coordination_audit_records holds records with reasons, links or an origin, dropping their columns would destroy that'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop it all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_records DROP COLUMN source_seq;
ALTER TABLE coordination_audit_records DROP COLUMN source_id;
ALTER TABLE coordination_audit_records DROP COLUMN details;
ALTER TABLE coordination_audit_records DROP COLUMN span_id;
ALTER TABLE coordination_audit_records DROP COLUMN trace_id;
ALTER TABLE coordination_audit_records DROP COLUMN correlation_id;
ALTER TABLE coordination_audit_records DROP COLUMN corrects;
ALTER TABLE coordination_audit_records DROP COLUMN caused_by;
ALTER TABLE coordination_audit_records DROP COLUMN actor;
ALTER TABLE coordination_audit_records DROP COLUMN policy_version;
ALTER TABLE coordination_audit_records DROP COLUMN reason_code;
