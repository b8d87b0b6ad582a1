-- Creates the tables of the seal: an RFC 6962 Merkle log over the rows of the trail.
--
-- A tile is a row of 256 hashes. At level 0 these are the hashes of 256 sealed rows, in
-- the order of sealing, and leaves says which rows: kinds and seqs, about a byte each. A
-- tile of a higher level holds the roots of 256 tiles below it. Only full tiles are
-- stored. The leaves after the last full tile are listed by the checkpoint.
--
-- through is the highest seq of a record up to and in a tile, so the first tile that
-- reaches a seq holds its record. A record that was committed after its neighbours were
-- sealed lies in a later tile, which names the range of such late records.
--
-- A checkpoint is a signed root. Its marks are four bytes of the hash of each new leaf after
-- the last full tile, so that a change of one of these rows can be named. Its key allows one successor for each size, so that two
-- sealers can never sign two histories. Events are what is on record and is no decision,
-- such as that an epoch was opened.
--
-- Locks: none on the tables of the trail. No session uses the new tables yet.

-- +goose Up
CREATE TABLE IF NOT EXISTS coordination_audit_seal_tiles (
    epoch        bigint   NOT NULL,
    level        smallint NOT NULL,
    idx          bigint   NOT NULL,
    through      bigint   NOT NULL,
    late_from    bigint,
    late_through bigint,
    root         bytea    NOT NULL,
    leaves       bytea    NOT NULL,
    hashes       bytea    NOT NULL,
    PRIMARY KEY (epoch, level, idx)
);

CREATE TABLE IF NOT EXISTS coordination_audit_seal_checkpoints (
    epoch              bigint         NOT NULL,
    size               bigint         NOT NULL,
    previous_size      bigint         NOT NULL,
    root               bytea          NOT NULL,
    leaves             bytea          NOT NULL,
    marks              bytea          NOT NULL,
    records_through    bigint         NOT NULL,
    gaps_through       bigint         NOT NULL,
    statements_through bigint         NOT NULL,
    events_through     bigint         NOT NULL,
    awaited            int8multirange NOT NULL,
    note               text           NOT NULL,
    made_at            timestamptz    NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (epoch, size)
);

CREATE TABLE IF NOT EXISTS coordination_audit_seal_events (
    event_id uuid        NOT NULL,
    seq      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind     varchar(20) NOT NULL,
    epoch    bigint      NOT NULL,
    body     text        NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (event_id)
);

-- IF NOT EXISTS is for tables restored without the version table. It accepts any relation
-- of that name, and this migration does not. Types are compared as in 00001.
-- +goose StatementBegin
DO $$
DECLARE
    faults text;
BEGIN
    SELECT string_agg(format('%s is no table', oid::regclass), '; ' ORDER BY relname)
    INTO faults
    FROM pg_catalog.pg_class
    WHERE oid IN (
            'coordination_audit_seal_tiles'::regclass,
            'coordination_audit_seal_checkpoints'::regclass,
            'coordination_audit_seal_events'::regclass
        )
        AND relkind <> 'r';
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'a table of the seal stands already and has another shape: %', faults
            USING HINT = 'Rename it, and migrate again.';
    END IF;

    SELECT string_agg(
        format('%s.%s must be %s%s%s', wanted.of, wanted.name, wanted.label,
            CASE WHEN wanted.needed THEN ' NOT NULL' END, CASE wanted.identity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' END),
        '; ' ORDER BY wanted.of, wanted.name
    )
    INTO faults
    FROM (VALUES
        ('coordination_audit_seal_tiles', 'epoch', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_tiles', 'level', 'smallint', 'smallint'::regtype, -1, '', true),
        ('coordination_audit_seal_tiles', 'idx', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_tiles', 'through', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_tiles', 'late_from', 'bigint', 'bigint'::regtype, -1, '', false),
        ('coordination_audit_seal_tiles', 'late_through', 'bigint', 'bigint'::regtype, -1, '', false),
        ('coordination_audit_seal_tiles', 'root', 'bytea', 'bytea'::regtype, -1, '', true),
        ('coordination_audit_seal_tiles', 'leaves', 'bytea', 'bytea'::regtype, -1, '', true),
        ('coordination_audit_seal_tiles', 'hashes', 'bytea', 'bytea'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'epoch', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'size', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'previous_size', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'root', 'bytea', 'bytea'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'leaves', 'bytea', 'bytea'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'marks', 'bytea', 'bytea'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'records_through', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'gaps_through', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'statements_through', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'events_through', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'awaited', 'int8multirange', 'int8multirange'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'note', 'text', 'text'::regtype, -1, '', true),
        ('coordination_audit_seal_checkpoints', 'made_at', 'timestamptz', 'timestamptz'::regtype, -1, '', true),
        ('coordination_audit_seal_events', 'event_id', 'uuid', 'uuid'::regtype, -1, '', true),
        ('coordination_audit_seal_events', 'seq', 'bigint', 'bigint'::regtype, -1, 'a', true),
        ('coordination_audit_seal_events', 'kind', 'varchar(20)', 'varchar'::regtype, 24, '', true),
        ('coordination_audit_seal_events', 'epoch', 'bigint', 'bigint'::regtype, -1, '', true),
        ('coordination_audit_seal_events', 'body', 'text', 'text'::regtype, -1, '', true),
        ('coordination_audit_seal_events', 'made_at', 'timestamptz', 'timestamptz'::regtype, -1, '', true)
    ) AS wanted (of, name, label, type, modifier, identity, needed)
    LEFT JOIN pg_catalog.pg_attribute AS found
        ON found.attrelid = wanted.of::regclass
        AND found.attname = wanted.name
        AND NOT found.attisdropped
        AND found.attnotnull = wanted.needed
        AND found.attidentity = wanted.identity
        AND found.attgenerated = ''
        AND found.atttypid = wanted.type
        AND found.atttypmod = wanted.modifier
    WHERE found.attname IS NULL;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'a table of the seal stands already and has another shape: %', faults
            USING HINT = 'Rename it, and migrate again.';
    END IF;

    SELECT string_agg(fault, '; ' ORDER BY fault)
    INTO faults
    FROM (
        SELECT format('%s has rule %I', ev_class::regclass, rulename) AS fault
        FROM pg_catalog.pg_rewrite
        WHERE ev_class = ANY (ARRAY['coordination_audit_seal_tiles', 'coordination_audit_seal_checkpoints', 'coordination_audit_seal_events']::regclass[])
        UNION ALL
        SELECT format('%s has trigger %I, which can change or drop a row', tgrelid::regclass, tgname)
        FROM pg_catalog.pg_trigger
        WHERE tgrelid = ANY (ARRAY['coordination_audit_seal_tiles', 'coordination_audit_seal_checkpoints', 'coordination_audit_seal_events']::regclass[])
            AND NOT tgisinternal AND tgenabled <> 'D'
            AND tgtype & 3 = 3 -- BEFORE … FOR EACH ROW
            AND tgname NOT LIKE 'coordination!_audit!_seal!_%!_refuse!_update!_delete' ESCAPE '!'
        UNION ALL
        SELECT format('%s has row-level security, which hides rows', oid::regclass)
        FROM pg_catalog.pg_class
        WHERE oid = ANY (ARRAY['coordination_audit_seal_tiles', 'coordination_audit_seal_checkpoints', 'coordination_audit_seal_events']::regclass[])
            AND (relrowsecurity OR relforcerowsecurity)
        UNION ALL
        SELECT format('%s is UNLOGGED, and is empty after a crash of the server', oid::regclass)
        FROM pg_catalog.pg_class
        WHERE oid = ANY (ARRAY['coordination_audit_seal_tiles', 'coordination_audit_seal_checkpoints', 'coordination_audit_seal_events']::regclass[])
            AND relpersistence = 'u'
    ) AS found;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'a table of the seal stands already and has what the trail cannot live with: %', faults
            USING HINT = 'Rename that table, or remove these from it, and migrate again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- Hashes cannot be compressed, so no attempt is made.
ALTER TABLE coordination_audit_seal_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

ALTER TABLE coordination_audit_seal_checkpoints ALTER COLUMN made_at SET DEFAULT clock_timestamp();
ALTER TABLE coordination_audit_seal_events ALTER COLUMN made_at SET DEFAULT clock_timestamp();

-- Dropped first, so that tables restored without the version table are adopted too.
ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT IF EXISTS coordination_audit_seal_tiles_place_valid;
ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT IF EXISTS coordination_audit_seal_tiles_late_valid;
ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT IF EXISTS coordination_audit_seal_tiles_hashes_valid;
ALTER TABLE coordination_audit_seal_checkpoints DROP CONSTRAINT IF EXISTS coordination_audit_seal_checkpoints_sizes_valid;
ALTER TABLE coordination_audit_seal_checkpoints DROP CONSTRAINT IF EXISTS coordination_audit_seal_checkpoints_root_valid;
ALTER TABLE coordination_audit_seal_checkpoints DROP CONSTRAINT IF EXISTS coordination_audit_seal_checkpoints_note_valid;
ALTER TABLE coordination_audit_seal_checkpoints DROP CONSTRAINT IF EXISTS coordination_audit_seal_checkpoints_made_at_finite;
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT IF EXISTS coordination_audit_seal_events_kind_valid;
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT IF EXISTS coordination_audit_seal_events_epoch_valid;
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT IF EXISTS coordination_audit_seal_events_body_valid;
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT IF EXISTS coordination_audit_seal_events_made_at_finite;

ALTER TABLE coordination_audit_seal_tiles ADD CONSTRAINT coordination_audit_seal_tiles_place_valid
    CHECK (epoch >= 1 AND level BETWEEN 0 AND 7 AND idx >= 0);
ALTER TABLE coordination_audit_seal_tiles ADD CONSTRAINT coordination_audit_seal_tiles_late_valid
    CHECK ((late_from IS NULL) = (late_through IS NULL) AND (late_from IS NULL OR (level = 0 AND late_from <= late_through)));
ALTER TABLE coordination_audit_seal_tiles ADD CONSTRAINT coordination_audit_seal_tiles_hashes_valid
    CHECK (octet_length(root) = 32 AND octet_length(hashes) = 8192 AND octet_length(leaves) <= 4096);
ALTER TABLE coordination_audit_seal_checkpoints ADD CONSTRAINT coordination_audit_seal_checkpoints_sizes_valid
    CHECK (epoch >= 1 AND previous_size >= 0 AND previous_size < size);
ALTER TABLE coordination_audit_seal_checkpoints ADD CONSTRAINT coordination_audit_seal_checkpoints_root_valid
    CHECK (octet_length(root) = 32 AND octet_length(leaves) <= 4096 AND octet_length(marks) <= 1020);
ALTER TABLE coordination_audit_seal_checkpoints ADD CONSTRAINT coordination_audit_seal_checkpoints_note_valid
    CHECK (octet_length(note) BETWEEN 1 AND 16384);
ALTER TABLE coordination_audit_seal_checkpoints ADD CONSTRAINT coordination_audit_seal_checkpoints_made_at_finite
    CHECK (isfinite(made_at));
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_kind_valid
    CHECK (kind IN ('epoch opened', 'expired', 'erased'));
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_epoch_valid
    CHECK (epoch >= 1);
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_body_valid
    CHECK (octet_length(body) <= 65536);
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_made_at_finite
    CHECK (isfinite(made_at));

DROP INDEX IF EXISTS coordination_audit_seal_checkpoints_previous_idx;
CREATE UNIQUE INDEX coordination_audit_seal_checkpoints_previous_idx
    ON coordination_audit_seal_checkpoints (epoch, previous_size);

-- The tile of a record: the first whose through reaches its seq, or one with late records.
DROP INDEX IF EXISTS coordination_audit_seal_tiles_through_idx;
CREATE INDEX coordination_audit_seal_tiles_through_idx
    ON coordination_audit_seal_tiles (epoch, through, idx)
    WHERE level = 0;
DROP INDEX IF EXISTS coordination_audit_seal_tiles_late_idx;
CREATE INDEX coordination_audit_seal_tiles_late_idx
    ON coordination_audit_seal_tiles (epoch, late_from)
    WHERE late_from IS NOT NULL;

DROP INDEX IF EXISTS coordination_audit_seal_events_seq_idx;
CREATE INDEX coordination_audit_seal_events_seq_idx
    ON coordination_audit_seal_events (seq);

DROP TRIGGER IF EXISTS coordination_audit_seal_tiles_refuse_update_delete ON coordination_audit_seal_tiles;
CREATE TRIGGER coordination_audit_seal_tiles_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_seal_tiles
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();
DROP TRIGGER IF EXISTS coordination_audit_seal_tiles_refuse_truncate ON coordination_audit_seal_tiles;
CREATE TRIGGER coordination_audit_seal_tiles_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_seal_tiles
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

DROP TRIGGER IF EXISTS coordination_audit_seal_checkpoints_refuse_update_delete ON coordination_audit_seal_checkpoints;
CREATE TRIGGER coordination_audit_seal_checkpoints_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_seal_checkpoints
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();
DROP TRIGGER IF EXISTS coordination_audit_seal_checkpoints_refuse_truncate ON coordination_audit_seal_checkpoints;
CREATE TRIGGER coordination_audit_seal_checkpoints_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_seal_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

DROP TRIGGER IF EXISTS coordination_audit_seal_events_refuse_update_delete ON coordination_audit_seal_events;
CREATE TRIGGER coordination_audit_seal_events_refuse_update_delete
    BEFORE UPDATE OR DELETE ON coordination_audit_seal_events
    FOR EACH ROW EXECUTE FUNCTION coordination_audit_refuse_change();
DROP TRIGGER IF EXISTS coordination_audit_seal_events_refuse_truncate ON coordination_audit_seal_events;
CREATE TRIGGER coordination_audit_seal_events_refuse_truncate
    BEFORE TRUNCATE ON coordination_audit_seal_events
    FOR EACH STATEMENT EXECUTE FUNCTION coordination_audit_refuse_change();

-- ALWAYS also fires under session_replication_role = replica, which disables plain
-- triggers.
ALTER TABLE coordination_audit_seal_tiles ENABLE ALWAYS TRIGGER coordination_audit_seal_tiles_refuse_update_delete;
ALTER TABLE coordination_audit_seal_tiles ENABLE ALWAYS TRIGGER coordination_audit_seal_tiles_refuse_truncate;
ALTER TABLE coordination_audit_seal_checkpoints ENABLE ALWAYS TRIGGER coordination_audit_seal_checkpoints_refuse_update_delete;
ALTER TABLE coordination_audit_seal_checkpoints ENABLE ALWAYS TRIGGER coordination_audit_seal_checkpoints_refuse_truncate;
ALTER TABLE coordination_audit_seal_events ENABLE ALWAYS TRIGGER coordination_audit_seal_events_refuse_update_delete;
ALTER TABLE coordination_audit_seal_events ENABLE ALWAYS TRIGGER coordination_audit_seal_events_refuse_truncate;

-- +goose Down
LOCK TABLE coordination_audit_seal_tiles, coordination_audit_seal_checkpoints, coordination_audit_seal_events IN ACCESS EXCLUSIVE MODE;

-- Without its tiles, no record can be proved from the database. They are dropped only on
-- explicit request: migrate down --allow-data-loss, which sets coordaudit.allow_data_loss.
-- +goose StatementBegin
DO $$
BEGIN
    IF current_setting('coordaudit.allow_data_loss', true) IS DISTINCT FROM 'on'
        AND (
            EXISTS (SELECT 1 FROM coordination_audit_seal_tiles)
            OR EXISTS (SELECT 1 FROM coordination_audit_seal_checkpoints)
            OR EXISTS (SELECT 1 FROM coordination_audit_seal_events)
        )
    THEN
        RAISE EXCEPTION 'the tables of the seal hold tiles, checkpoints or events, dropping them would destroy them'
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Nothing was changed. To drop them all the same, pass --allow-data-loss.';
    END IF;
END
$$;
-- +goose StatementEnd

-- A trail on a Citus cluster has this one as well. It says which rows the tiles cover.
DROP TABLE IF EXISTS coordination_audit_seal_leaves;
DROP TABLE coordination_audit_seal_events;
DROP TABLE coordination_audit_seal_checkpoints;
DROP TABLE coordination_audit_seal_tiles;
