-- Adds what a decision was about: the parameter that the envelope wanted to change,
-- and the class of the other envelope.
--
-- Why: without them a reader cannot know over which parameter two envelopes conflict,
-- and must guess the other envelope's class from its other records. All three are
-- optional. Older rows have none, the previous release writes none, and both stay
-- valid.
--
-- Locks: ACCESS EXCLUSIVE on coordination_audit_records until the commit, which
-- follows at once. Columns without a default rewrite nothing, and the CHECKs are NOT
-- VALID here, so no row is read. 00004 validates them under a weaker lock.
--
-- Columns and CHECKs come in separate statements, because a distributed table refuses
-- ADD COLUMN … CHECK.

-- +goose Up
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS target_subsystem varchar(100);
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS target_parameter varchar(100);
ALTER TABLE coordination_audit_records ADD COLUMN IF NOT EXISTS counterpart_class varchar(20);

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
        ('target_subsystem', 'character varying(100)', 104),
        ('target_parameter', 'character varying(100)', 104),
        ('counterpart_class', 'character varying(20)', 24)
    ) AS wanted (name, label, modifier)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_records'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND NOT found.attnotnull
        AND found.atttypid = 'varchar'::regtype
        AND found.atttypmod = wanted.modifier
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_records has columns of these names already, and of another shape: %', faults
            USING HINT = 'Rename them, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Dropped first, so that a table restored without the version table is adopted too.
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_target_not_empty;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_counterpart_class_valid;
ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_counterpart_has_an_id;

ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_target_not_empty
    CHECK (target_subsystem <> '' AND target_parameter <> '') NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_counterpart_class_valid
    CHECK (counterpart_class IN ('SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE', 'UNKNOWN')) NOT VALID;
ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_counterpart_has_an_id
    CHECK (counterpart_class IS NULL OR conflicting_envelope_id IS NOT NULL OR preempting_envelope_id IS NOT NULL) NOT VALID;

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
            WHERE target_subsystem IS NOT NULL
                OR target_parameter IS NOT NULL
                OR counterpart_class IS NOT NULL
        )
    THEN
        RAISE EXCEPTION 'coordination_audit_records holds records with a context, dropping its columns would destroy that'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop it all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_records DROP COLUMN counterpart_class;
ALTER TABLE coordination_audit_records DROP COLUMN target_parameter;
ALTER TABLE coordination_audit_records DROP COLUMN target_subsystem;
