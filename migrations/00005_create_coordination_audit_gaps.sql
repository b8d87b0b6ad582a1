-- Creates the table of gaps: what a recorder could neither store nor keep is
-- counted here, so that the trail itself says that records are missing.
--
-- Why a table of its own: a gap is no decision, has no tenant and stands for many
-- records, so no row of coordination_audit_records could hold one. It is as
-- immutable as they are, by the function of 00001. Its counts are columns, one a
-- class, so that a CHECK can hold each.
--
-- It has no index besides its key. A gap takes an outage of the database and of the
-- dead-letter directory at once, so there are few, and a reader's window is sought
-- among all of them faster than an index could be kept.
--
-- Locks: none on coordination_audit_records. The new table is nobody's yet.

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

-- IF NOT EXISTS is for a table restored without the version table. It is content
-- with any table of that name; we are not.
-- +goose StatementBegin
DO $$
DECLARE
    faults text;
BEGIN
    SELECT string_agg(
        format('%s must be %s NOT NULL%s', wanted.name, wanted.type, CASE wanted.identity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' END),
        '; ' ORDER BY wanted.name
    )
    INTO faults
    FROM (VALUES
        ('gap_id', 'uuid', ''),
        ('seq', 'bigint', 'a'),
        ('dropped_safety', 'bigint', ''),
        ('dropped_reliability', 'bigint', ''),
        ('dropped_cost', 'bigint', ''),
        ('dropped_performance', 'bigint', ''),
        ('dropped_unknown', 'bigint', ''),
        ('first_audit_id', 'uuid', ''),
        ('last_audit_id', 'uuid', ''),
        ('lost_from', 'timestamp with time zone', ''),
        ('lost_until', 'timestamp with time zone', ''),
        ('cause', 'text', ''),
        ('recorded_at', 'timestamp with time zone', '')
    ) AS wanted (name, type, identity)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = 'coordination_audit_gaps'::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND found.attnotnull
        AND found.attidentity = wanted.identity
        AND pg_catalog.format_type(found.atttypid, found.atttypmod) = wanted.type
    WHERE found.attname IS NULL;

    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'coordination_audit_gaps stands already and has another shape: %', faults
            USING HINT = 'Rename that table, and migrate again.';
    END IF;

    IF NOT EXISTS (
        SELECT
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
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_gaps ALTER COLUMN recorded_at SET DEFAULT clock_timestamp();

ALTER TABLE coordination_audit_gaps
    DROP CONSTRAINT IF EXISTS coordination_audit_gaps_dropped_not_negative,
    DROP CONSTRAINT IF EXISTS coordination_audit_gaps_dropped_something,
    DROP CONSTRAINT IF EXISTS coordination_audit_gaps_lost_valid,
    DROP CONSTRAINT IF EXISTS coordination_audit_gaps_cause_valid;

-- least and greatest rather than a sum, which could overflow.
ALTER TABLE coordination_audit_gaps
    ADD CONSTRAINT coordination_audit_gaps_dropped_not_negative
        CHECK (least(dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown) >= 0),
    ADD CONSTRAINT coordination_audit_gaps_dropped_something
        CHECK (greatest(dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown) > 0),
    ADD CONSTRAINT coordination_audit_gaps_lost_valid
        CHECK (lost_from >= '0001-01-01 00:00:00+00' AND lost_until >= lost_from AND lost_until < '10000-01-01 00:00:00+00'),
    ADD CONSTRAINT coordination_audit_gaps_cause_valid
        CHECK (btrim(cause, E' \t\n\v\f\r') <> '' AND char_length(cause) <= 500);

DROP TRIGGER IF EXISTS coordination_audit_gaps_refuse_update_delete ON coordination_audit_gaps;
CREATE TRIGGER coordination_audit_gaps_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_gaps
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();

DROP TRIGGER IF EXISTS coordination_audit_gaps_refuse_truncate ON coordination_audit_gaps;
CREATE TRIGGER coordination_audit_gaps_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_gaps
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

-- ALWAYS: also under session_replication_role = replica, which switches off plain triggers.
ALTER TABLE coordination_audit_gaps ENABLE ALWAYS TRIGGER coordination_audit_gaps_refuse_update_delete;
ALTER TABLE coordination_audit_gaps ENABLE ALWAYS TRIGGER coordination_audit_gaps_refuse_truncate;

-- +goose Down
-- A gap is all that is left of the records it counts. It is dropped only by someone
-- who says so: migrate down --allow-data-loss, which sets coordaudit.allow_data_loss.
-- +goose StatementBegin
DO $$
BEGIN
    LOCK TABLE coordination_audit_gaps IN ACCESS EXCLUSIVE MODE;
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND EXISTS (SELECT FROM coordination_audit_gaps)
    THEN
        RAISE EXCEPTION 'coordination_audit_gaps holds gaps, dropping it would destroy them'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop them all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

DROP TABLE coordination_audit_gaps;
