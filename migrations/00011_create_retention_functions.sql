-- Creates what expiry and erasure need: functions that put on record what they do, in the
-- transaction that does it.
--
-- Why functions: nothing else in the product changes or removes a row. A function runs with
-- the rights of its owner. That owner is to be the role coordaudit_retention, which cannot
-- log in and which migrate grants creates. Until then the functions belong to whoever
-- migrates, and the guards refuse them like anybody else.
--
-- The guard of 00001 passes that one role: a DELETE of records, and an UPDATE that changes
-- nothing but reason or details. It still only raises, so it runs on a distributed table.
-- Its operators name their schema, because it runs with the search_path of the session.
--
-- Holds and the minimum age are events as well: append-only, and sealed with the others.
--
-- Expiry, erasure and holds run one after the other, under a lock of the table of events that
-- none of its readers and writers waits for. An advisory lock anyone may take, and keep for
-- ever. This one takes the right to UPDATE, DELETE or TRUNCATE the table. So migrate grants
-- gives that role UPDATE, which the guard refuses to it as to everyone.
--
-- A function has a search_path of its own, with this schema in it. Renaming the schema
-- needs migrate repair. Whoever may create functions in the schema must not slip one in
-- between, so each call names its schema, and each operator has operands of exactly the
-- types of PostgreSQL's own.
--
-- Locks: ACCESS EXCLUSIVE on coordination_audit_seal_events for a moment.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    kept record;
BEGIN
    IF current_user OPERATOR(pg_catalog.=) 'coordaudit_retention'::pg_catalog.name
        AND pg_catalog.starts_with(TG_TABLE_NAME::pg_catalog.text, 'coordination_audit_records')
    THEN
        IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            RETURN OLD;
        END IF;
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            kept := NEW;
            kept.reason := OLD.reason;
            IF kept OPERATOR(pg_catalog.*=) OLD THEN
                RETURN NEW;
            END IF;
            kept := NEW;
            kept.details := OLD.details;
            IF kept OPERATOR(pg_catalog.*=) OLD THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit records are immutable: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation',
              HINT = 'A wrong record stays on record: persist a new one that corrects it.';
END
$$;
-- +goose StatementEnd

ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT IF EXISTS coordination_audit_seal_events_kind_valid;
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_kind_valid
    CHECK (kind IN ('epoch opened', 'expired', 'erased', 'hold placed', 'hold released', 'retention set'));

-- Whether each text of a list is a multirange of numbers as it is printed: {[1,4),[7,8)}. It reads the
-- numbers and no ranges: to read and to print one takes the server some kilobytes, and an event
-- lists thousands.
--
-- Who puts an event on record calls it, so everyone may.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_are_multiranges(lists jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    list text;
    digits text;
    numbers bigint[];
    number bigint;
    last bigint;
BEGIN
    IF lists IS NULL THEN
        RETURN false;
    END IF;
    FOR list IN SELECT e.text FROM pg_catalog.jsonb_array_elements_text(lists) AS e (text) LOOP
        IF (list ~ '^\{(?:\[[0-9]+,[0-9]+\)(?:,\[[0-9]+,[0-9]+\))*)?\}$') IS NOT TRUE THEN
            RETURN false;
        END IF;
        digits := pg_catalog.translate(list, '{[)}', '');
        numbers := pg_catalog.string_to_array(digits, ',')::bigint[];
        IF pg_catalog.array_to_string(numbers, ',') <> digits THEN
            RETURN false; -- a number begins with 0
        END IF;
        last := -1;
        FOREACH number IN ARRAY numbers LOOP
            IF number <= last THEN
                RETURN false;
            END IF;
            last := number;
        END LOOP;
    END LOOP;
    RETURN true;
END
$$;
-- +goose StatementEnd
GRANT EXECUTE ON FUNCTION coordination_audit_are_multiranges(jsonb) TO PUBLIC;

-- Events stay forever, and those below are read by expiry, verify and completeness. One that
-- cannot be read would stop them forever, so it is refused, also to a sealer.
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT IF EXISTS coordination_audit_seal_events_body_readable;
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_body_readable
    CHECK (
        CASE
            WHEN kind = 'expired' THEN
                body::jsonb ->> 'archive' ~ '^[0-9a-f]{64}$'
                AND body::jsonb ->> 'seqs' ~ '^\{\[[0-9]+,[0-9]+\)(?:,\[[0-9]+,[0-9]+\))*\}$'
                AND (body::jsonb ->> 'first_seq')::bigint <= (body::jsonb ->> 'last_seq')::bigint
                -- They ascend, as is asked below, so these are the lowest and the one after the highest.
                AND ltrim(split_part(body::jsonb ->> 'seqs', ',', 1), '{[')::bigint >= (body::jsonb ->> 'first_seq')::bigint
                AND rtrim(split_part(body::jsonb ->> 'seqs', ',', -1), ')}')::bigint - 1 <= (body::jsonb ->> 'last_seq')::bigint
                AND (body::jsonb ->> 'records')::bigint > 0
                AND (body::jsonb -> 'sources')::text ~ '^\{("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}": "\{(\[[0-9]{1,19},[0-9]{1,19}\),?)*\}"(, )?)*\}$'
                AND coordination_audit_are_multiranges(jsonb_path_query_array(body::jsonb, '$.sources.*') || (body::jsonb -> 'seqs'))
            WHEN kind = 'hold placed' THEN
                jsonb_typeof(body::jsonb) = 'object'
                AND coalesce((body::jsonb ->> 'since')::timestamptz BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 00:00:00+00', true)
                AND coalesce((body::jsonb ->> 'until')::timestamptz BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 00:00:00+00', true)
            WHEN kind = 'hold released' THEN (body::jsonb ->> 'hold_id')::uuid IS NOT NULL
            WHEN kind = 'retention set' THEN (body::jsonb ->> 'minimum_days')::integer BETWEEN 0 AND 100000
            ELSE true
        END IS TRUE
    );

-- Checks that records of the last epoch may leave: they are in full tiles up to a signed size,
-- and none of them waits for an open transaction. It returns the highest seq that may.
--
-- The first tile that reaches a seq holds its record, unless that was committed late. Then it lies
-- in a later tile, which names the range of such records, or behind the last full tile. So these
-- lists of leaves are read: a varint for each leaf, with two bits of the kind (0 is a record) and
-- the distance from the seq before it of that kind.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_sealed_through(log_epoch bigint, log_size bigint, log_root bytea, seqs int8multirange) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off AS $$
DECLARE
    reached bigint;
    late int8multirange;
    behind bytea;
    listed bytea;
    digits integer;
    bits integer;
    code bigint;
    leaf bigint;
BEGIN
    IF NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_checkpoints AS c
        WHERE c.epoch = log_epoch AND c.size = log_size AND c.root = log_root
    ) THEN
        RAISE EXCEPTION 'the checkpoint of epoch % and size % is not the stored one', log_epoch, log_size USING ERRCODE = 'UA004';
    END IF;
    SELECT CASE WHEN last.epoch = log_epoch THEN last.awaited END, last.leaves
    INTO late, behind
    FROM coordination_audit_seal_checkpoints AS last
    ORDER BY last.epoch DESC, last.size DESC
    LIMIT 1;
    IF late IS NULL THEN
        RAISE EXCEPTION 'epoch % is not the last one', log_epoch USING ERRCODE = 'UA004';
    END IF;
    SELECT t.through
    INTO reached
    FROM coordination_audit_seal_tiles AS t
    WHERE t.epoch = log_epoch AND t.level = 0 AND t.idx = log_size / 256 - 1;
    IF reached IS NULL OR pg_catalog.upper(seqs) - 1 > reached OR seqs OPERATOR(pg_catalog.&&) late THEN
        RAISE EXCEPTION 'not every record is in a full tile of the checkpoint of size %', log_size USING ERRCODE = 'UA004';
    END IF;
    FOR listed IN
        SELECT behind
        UNION ALL
        SELECT t.leaves
        FROM coordination_audit_seal_tiles AS t
        WHERE t.epoch = log_epoch
            AND t.level = 0
            AND t.idx >= log_size / 256
            AND t.late_from < pg_catalog.upper(seqs)
            AND t.late_through >= pg_catalog.lower(seqs)
    LOOP
        bits := 0;
        code := 0;
        leaf := 0;
        FOR place IN 0 .. pg_catalog.octet_length(listed) - 1 LOOP
            digits := pg_catalog.get_byte(listed, place);
            code := code | ((digits & 127)::bigint << bits);
            bits := bits + 7;
            CONTINUE WHEN digits > 127;
            code := ((code >> 1) & 9223372036854775807) # -(code & 1::bigint);
            IF (code & 3::bigint) = 0::bigint THEN
                leaf := leaf + (code >> 2);
                IF seqs OPERATOR(pg_catalog.@>) leaf THEN
                    RAISE EXCEPTION 'the record with seq % was sealed late, and is in no full tile of the checkpoint of size %', leaf, log_size USING ERRCODE = 'UA004';
                END IF;
            END IF;
            bits := 0;
            code := 0;
        END LOOP;
    END LOOP;
    RETURN reached;
END
$$;
-- +goose StatementEnd

-- Puts an event on record, and returns its seq. If a trigger takes the event away, nothing of what
-- it is about may stand, either.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_put_event(id uuid, what text, log_epoch bigint, says text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off AS $$
DECLARE
    event bigint;
BEGIN
    INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body)
    VALUES (id, what, log_epoch, says);
    SET CONSTRAINTS ALL IMMEDIATE; -- for triggers that would act at the commit
    SELECT e.seq
    INTO event
    FROM coordination_audit_seal_events AS e
    WHERE e.event_id = id AND e.kind::text = what AND e.epoch = log_epoch AND e.body = says;
    IF event IS NULL THEN
        RAISE EXCEPTION 'a trigger on coordination_audit_seal_events discards, removes or changes events: drop it (migrate validate names it)' USING ERRCODE = 'UA007';
    END IF;
    RETURN event;
END
$$;
-- +goose StatementEnd

-- Puts a batch of expired records on record and removes them. It returns the seq of the event.
-- A batch that is on record already is not removed again.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_expire(
    archive text, batch integer, batches integer, log_epoch bigint, log_size bigint, log_root bytea,
    every_tenant boolean, only_tenant text, only_classes text[], horizon timestamptz, seqs int8multirange, expected bigint
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET timezone = 'UTC' AS $$
DECLARE
    id uuid := pg_catalog.md5('coordaudit expired ' || archive || ' ' || batch::text)::uuid;
    days integer;
    numbers bigint[];
    listed text;
    held bigint;
    removed bigint;
    named bigint;
    sources json;
    event bigint;
BEGIN
    IF (
        archive !~ '^[0-9a-f]{64}$' OR batch NOT BETWEEN 1 AND batches OR horizon IS NULL OR only_classes IS NULL OR every_tenant IS NULL
        OR pg_catalog.isempty(seqs) OR pg_catalog.lower_inf(seqs) OR pg_catalog.upper_inf(seqs)
        OR pg_catalog.lower(seqs) < 1 -- or the list of numbers below would have no bound
    ) IS NOT FALSE THEN
        RAISE EXCEPTION 'the arguments are not those of coordaudit expire' USING ERRCODE = 'UA005';
    END IF;
    -- A snapshot from before the lock would miss a hold that was placed since.
    IF pg_catalog.current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'a hold may be missed in a transaction that is %: begin one that is READ COMMITTED', pg_catalog.current_setting('transaction_isolation') USING ERRCODE = 'UA005';
    END IF;
    -- One at a time, also with those who place holds.
    LOCK TABLE coordination_audit_seal_events IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT e.seq INTO event FROM coordination_audit_seal_events AS e WHERE e.event_id = id;
    IF event IS NOT NULL THEN
        RETURN event;
    END IF;

    SELECT coalesce((
        SELECT (e.body::jsonb ->> 'minimum_days'::text)::integer
        FROM coordination_audit_seal_events AS e
        WHERE e.kind::text = 'retention set'
        ORDER BY e.seq DESC
        LIMIT 1
    ), 365) INTO days;
    IF NOT horizon <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => days) THEN
        RAISE EXCEPTION 'the horizon is less than the minimum of % days ago', days USING ERRCODE = 'UA001';
    END IF;
    PERFORM coordination_audit_sealed_through(log_epoch, log_size, log_root, seqs);

    -- Looked up one by one: the planner takes a range for a ninth of the table.
    SELECT pg_catalog.array_agg(n)
    INTO numbers
    FROM pg_catalog.unnest(seqs) AS span, pg_catalog.generate_series(pg_catalog.lower(span), pg_catalog.upper(span) - 1) AS n;
    -- As seqs::text, and at a fraction of its cost.
    SELECT '{' || pg_catalog.string_agg('[' || pg_catalog.lower(span)::text || ',' || pg_catalog.upper(span)::text || ')', ',' ORDER BY pg_catalog.lower(span)) || '}'
    INTO listed
    FROM pg_catalog.unnest(seqs) AS span;
    WITH holds AS MATERIALIZED (
        SELECT
            placed.body::jsonb ->> 'tenant_id'::text AS tenant_id,
            placed.body::jsonb ->> 'envelope_id'::text AS envelope_id,
            placed.body::jsonb ->> 'envelope_class'::text AS envelope_class,
            (placed.body::jsonb ->> 'since'::text)::timestamptz AS since,
            (placed.body::jsonb ->> 'until'::text)::timestamptz AS until
        FROM coordination_audit_seal_events AS placed
        WHERE placed.kind::text = 'hold placed'
            AND NOT EXISTS (
                SELECT 1
                FROM coordination_audit_seal_events AS released
                WHERE released.kind::text = 'hold released' AND released.body::jsonb ->> 'hold_id'::text = placed.event_id::text
            )
    ), gone AS (
        DELETE FROM coordination_audit_records AS r
        WHERE r.seq = ANY (numbers)
            AND r.created_at < horizon
            AND (every_tenant OR r.tenant_id::text IS NOT DISTINCT FROM only_tenant)
            AND (pg_catalog.cardinality(only_classes) = 0 OR r.envelope_class::text = ANY (only_classes))
        RETURNING r.seq, r.tenant_id, r.envelope_id, r.envelope_class, r.created_at, r.source_id, r.source_seq
    ), ordinals AS (
        SELECT
            runs.source_id,
            '{' || pg_catalog.string_agg('[' || pg_catalog.lower(runs.run)::text || ',' || pg_catalog.upper(runs.run)::text || ')', ',' ORDER BY pg_catalog.lower(runs.run)) || '}' AS list
        FROM (
            SELECT gone.source_id, pg_catalog.unnest(pg_catalog.range_agg(pg_catalog.int8range(gone.source_seq, gone.source_seq, '[]'))) AS run
            FROM gone
            WHERE gone.source_id IS NOT NULL AND gone.source_seq IS NOT NULL
            GROUP BY gone.source_id
        ) AS runs
        GROUP BY runs.source_id
    )
    SELECT
        (SELECT pg_catalog.count(*) FROM gone),
        (SELECT pg_catalog.count(DISTINCT gone.seq) FROM gone),
        (
            SELECT pg_catalog.count(*)
            FROM gone
            WHERE EXISTS (
                SELECT 1
                FROM holds AS h
                WHERE coalesce(h.tenant_id = gone.tenant_id::text, h.tenant_id IS NULL)
                    AND coalesce(h.envelope_id = gone.envelope_id::text, h.envelope_id IS NULL)
                    AND coalesce(h.envelope_class = gone.envelope_class::text, h.envelope_class IS NULL)
                    AND coalesce(h.since <= gone.created_at, true)
                    AND coalesce(h.until > gone.created_at, true)
            )
        ),
        (SELECT coalesce(pg_catalog.json_object_agg(ordinals.source_id, ordinals.list), '{}') FROM ordinals)
    INTO removed, named, held, sources;
    IF held > 0 THEN
        RAISE EXCEPTION '% of the records are held', held USING ERRCODE = 'UA002';
    END IF;
    -- The event names each seq, so one whose record stays is a difference too.
    IF removed IS DISTINCT FROM expected OR named IS DISTINCT FROM pg_catalog.cardinality(numbers)::bigint THEN
        RAISE EXCEPTION 'archive holds %, the table held %: nothing is dropped', expected, removed USING ERRCODE = 'UA003';
    END IF;

    RETURN coordination_audit_put_event(id, 'expired'::text, log_epoch, pg_catalog.json_build_object(
        'archive', archive, 'batch', batch, 'batches', batches, 'records', removed, 'by', session_user,
        'first_seq', pg_catalog.lower(seqs), 'last_seq', pg_catalog.upper(seqs) - 1, 'size', log_size,
        'every_tenant', every_tenant, 'tenant_id', only_tenant, 'classes', only_classes, 'before', horizon,
        'seqs', listed, 'sources', sources
    )::text);
END
$$;
-- +goose StatementEnd

-- Replaces a text of a sealed record by its digest, which its leaf holds as well, and puts
-- that on record. It returns the seq of the event. A text that is erased stays as it is.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_erase(of_record uuid, which text, log_epoch bigint, log_size bigint, log_root bytea, why text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET timezone = 'UTC' AS $$
DECLARE
    id uuid;
    event bigint;
    stored record;
    original text;
    digest text;
BEGIN
    IF coalesce(which NOT IN ('reason', 'details'), true) OR coalesce(pg_catalog.btrim(why), '') = '' THEN
        RAISE EXCEPTION 'the arguments are not those of coordaudit erase' USING ERRCODE = 'UA005';
    END IF;
    -- A snapshot from before the lock would miss a hold that was placed since.
    IF pg_catalog.current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'a hold may be missed in a transaction that is %: begin one that is READ COMMITTED', pg_catalog.current_setting('transaction_isolation') USING ERRCODE = 'UA005';
    END IF;
    LOCK TABLE coordination_audit_seal_events IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT r.* INTO stored FROM coordination_audit_records AS r WHERE r.audit_id = of_record;
    original := CASE which WHEN 'reason' THEN stored.reason ELSE stored.details::text END;
    IF original IS NULL THEN
        RAISE EXCEPTION 'there is no such text' USING ERRCODE = 'UA006';
    END IF;
    -- With its seq, as a record that expired may be stored again, with its text.
    id := pg_catalog.md5('coordaudit erased ' || which || ' ' || of_record::text || ' ' || stored.seq::text)::uuid;
    SELECT e.seq INTO event FROM coordination_audit_seal_events AS e WHERE e.event_id = id;
    IF event IS NOT NULL THEN
        IF original !~ '^(\[erased sha256:[0-9a-f]{64}\]|\{"erased": "sha256:[0-9a-f]{64}"\})$' THEN
            RAISE EXCEPTION 'event % says that the text is erased, and it is there: someone forged the event: run coordaudit verify', event USING ERRCODE = 'UA005';
        END IF;
        RETURN event;
    END IF;
    PERFORM coordination_audit_sealed_through(log_epoch, log_size, log_root, pg_catalog.int8multirange(pg_catalog.int8range(stored.seq, stored.seq, '[]')));
    IF EXISTS (
        SELECT 1
        FROM coordination_audit_seal_events AS placed
        WHERE placed.kind::text = 'hold placed'
            AND NOT EXISTS (
                SELECT 1
                FROM coordination_audit_seal_events AS released
                WHERE released.kind::text = 'hold released' AND released.body::jsonb ->> 'hold_id'::text = placed.event_id::text
            )
            AND coalesce(placed.body::jsonb ->> 'tenant_id'::text = stored.tenant_id::text, placed.body::jsonb ->> 'tenant_id'::text IS NULL)
            AND coalesce(placed.body::jsonb ->> 'envelope_id'::text = stored.envelope_id::text, placed.body::jsonb ->> 'envelope_id'::text IS NULL)
            AND coalesce(placed.body::jsonb ->> 'envelope_class'::text = stored.envelope_class::text, placed.body::jsonb ->> 'envelope_class'::text IS NULL)
            AND coalesce((placed.body::jsonb ->> 'since'::text)::timestamptz <= stored.created_at, true)
            AND coalesce((placed.body::jsonb ->> 'until'::text)::timestamptz > stored.created_at, true)
    ) THEN
        RAISE EXCEPTION 'the record is held' USING ERRCODE = 'UA002';
    END IF;

    digest := pg_catalog.encode(pg_catalog.sha256(
        pg_catalog.convert_to('coordaudit ' || which, 'UTF8') || pg_catalog.decode('00', 'hex') || pg_catalog.uuid_send(of_record) || pg_catalog.convert_to(original, 'UTF8')
    ), 'hex');
    IF which = 'reason' THEN
        UPDATE coordination_audit_records AS r SET reason = '[erased sha256:' || digest || ']' WHERE r.audit_id = of_record;
    ELSE
        UPDATE coordination_audit_records AS r SET details = pg_catalog.jsonb_build_object('erased', 'sha256:' || digest) WHERE r.audit_id = of_record;
    END IF;
    event := coordination_audit_put_event(id, 'erased'::text, log_epoch, pg_catalog.json_build_object(
        'audit_id', of_record, 'seq', stored.seq, 'text', which, 'digest', digest, 'by', session_user, 'why', why
    )::text);
    SELECT CASE which WHEN 'reason' THEN r.reason ELSE r.details::text END INTO original FROM coordination_audit_records AS r WHERE r.audit_id = of_record;
    IF coalesce(pg_catalog.strpos(original, digest), 0) = 0 THEN
        RAISE EXCEPTION 'a trigger on coordination_audit_records puts the text back: drop it (migrate validate names it)' USING ERRCODE = 'UA007';
    END IF;
    RETURN event;
END
$$;
-- +goose StatementEnd

-- Places a hold, which stops the expiry and the erasure of the records that it names: those
-- of a tenant, of an envelope, of a class, and created in a window. What is NULL limits nothing.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_place_hold(
    of_tenant text, of_envelope text, of_class text, since timestamptz, until timestamptz, why text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' AS $$
DECLARE
    id uuid := pg_catalog.gen_random_uuid();
BEGIN
    IF coalesce(of_tenant, of_envelope, of_class, since::text, until::text) IS NULL OR coalesce(pg_catalog.btrim(why), '') = '' THEN
        RAISE EXCEPTION 'a hold names a tenant, an envelope, a class or a time, and why' USING ERRCODE = 'UA005';
    END IF;
    -- What no record can fit would stop nothing, and no one would know.
    IF NOT coalesce(pg_catalog.length(of_tenant) BETWEEN 1 AND 100, true)
        OR NOT coalesce(pg_catalog.length(of_envelope) BETWEEN 1 AND 100, true)
        OR NOT coalesce(pg_catalog.length(of_class) BETWEEN 1 AND 20, true)
        OR NOT coalesce(since < until, true)
        OR NOT coalesce(since BETWEEN '0001-01-01 00:00:00+00'::timestamptz AND '9999-12-31 00:00:00+00'::timestamptz, true)
        OR NOT coalesce(until BETWEEN '0001-01-01 00:00:00+00'::timestamptz AND '9999-12-31 00:00:00+00'::timestamptz, true)
    THEN
        RAISE EXCEPTION 'no record can have what the hold names: an empty text or one that is too long, or times of which the first is not the earlier one, or that no calendar has' USING ERRCODE = 'UA005';
    END IF;
    LOCK TABLE coordination_audit_seal_events IN SHARE UPDATE EXCLUSIVE MODE;
    PERFORM coordination_audit_put_event(id, 'hold placed'::text, 1::bigint, pg_catalog.json_build_object(
        'tenant_id', of_tenant, 'envelope_id', of_envelope, 'envelope_class', of_class, 'since', since, 'until', until, 'by', session_user, 'why', why
    )::text);
    RETURN id;
END
$$;
-- +goose StatementEnd

-- Releases a hold, by an event that comes after the one that placed it.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION coordination_audit_release_hold(hold uuid, why text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    id uuid := pg_catalog.md5('coordaudit released ' || hold::text)::uuid;
BEGIN
    IF coalesce(pg_catalog.btrim(why), '') = '' THEN
        RAISE EXCEPTION 'a release says why' USING ERRCODE = 'UA005';
    END IF;
    LOCK TABLE coordination_audit_seal_events IN SHARE UPDATE EXCLUSIVE MODE;
    IF NOT EXISTS (
        SELECT 1
        FROM coordination_audit_seal_events AS placed
        WHERE placed.event_id = hold AND placed.kind::text = 'hold placed'
    ) THEN
        RAISE EXCEPTION 'there is no such hold' USING ERRCODE = 'UA006';
    END IF;
    IF EXISTS (SELECT 1 FROM coordination_audit_seal_events AS released WHERE released.event_id = id) THEN
        RETURN false;
    END IF;
    PERFORM coordination_audit_put_event(id, 'hold released'::text, 1::bigint, pg_catalog.json_build_object('hold_id', hold, 'by', session_user, 'why', why)::text);
    RETURN true;
END
$$;
-- +goose StatementEnd

-- A new function may be called by everyone, and would look for its tables where its caller does.
-- +goose StatementBegin
DO $$
DECLARE
    own regprocedure;
BEGIN
    FOR own IN
        SELECT p.oid
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema()
            AND p.proname IN (
                'coordination_audit_sealed_through', 'coordination_audit_put_event', 'coordination_audit_expire',
                'coordination_audit_erase', 'coordination_audit_place_hold', 'coordination_audit_release_hold'
            )
            AND p.prosecdef
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', own, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', own);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION coordination_audit_release_hold(uuid, text);
DROP FUNCTION coordination_audit_place_hold(text, text, text, timestamptz, timestamptz, text);
DROP FUNCTION coordination_audit_erase(uuid, text, bigint, bigint, bytea, text);
DROP FUNCTION coordination_audit_expire(text, integer, integer, bigint, bigint, bytea, boolean, text, text[], timestamptz, int8multirange, bigint);
DROP FUNCTION coordination_audit_put_event(uuid, text, bigint, text);
DROP FUNCTION coordination_audit_sealed_through(bigint, bigint, bytea, int8multirange);

-- Events of kinds that the older release does not know stay on record.
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT coordination_audit_seal_events_body_readable;
DROP FUNCTION coordination_audit_are_multiranges(jsonb);
ALTER TABLE coordination_audit_seal_events DROP CONSTRAINT coordination_audit_seal_events_kind_valid;
ALTER TABLE coordination_audit_seal_events ADD CONSTRAINT coordination_audit_seal_events_kind_valid
    CHECK (kind IN ('epoch opened', 'expired', 'erased')) NOT VALID;
-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE coordination_audit_seal_events VALIDATE CONSTRAINT coordination_audit_seal_events_kind_valid;
EXCEPTION WHEN check_violation THEN
    RAISE WARNING 'constraint coordination_audit_seal_events_kind_valid stays NOT VALID: there are holds or settings of the retention; they are kept';
END
$$;
-- +goose StatementEnd

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
