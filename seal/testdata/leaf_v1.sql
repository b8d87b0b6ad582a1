-- The leaf hash, version 1, of each row of the four kinds, by functions of PostgreSQL alone. See
-- docs/seal-format.md. A test compares it with package seal.

-- record
SELECT
    r.seq,
    r.audit_id,
    sha256(decode('00', 'hex') || leaf.bytes) AS leaf_hash
FROM coordination_audit_records AS r
CROSS JOIN LATERAL (
    SELECT convert_to('coordaudit record', 'UTF8') || decode('0001', 'hex')
        || string_agg(coalesce(int4send(octet_length(c.value)) || c.value, decode('ffffffff', 'hex')), ''::bytea ORDER BY c.n)
    FROM unnest(ARRAY[
        int8send(r.seq),
        uuid_send(r.audit_id),
        convert_to(r.envelope_id, 'UTF8'),
        convert_to(r.envelope_class, 'UTF8'),
        convert_to(r.decision, 'UTF8'),
        sha256(convert_to('coordaudit reason', 'UTF8') || decode('00', 'hex') || uuid_send(r.audit_id) || convert_to(r.reason, 'UTF8')),
        timestamptz_send(r.decision_timestamp),
        timestamptz_send(r.created_at),
        convert_to(r.conflicting_envelope_id, 'UTF8'),
        convert_to(r.preempting_envelope_id, 'UTF8'),
        int4send(r.active_envelopes_count),
        convert_to(r.tenant_id, 'UTF8'),
        convert_to(r.target_subsystem, 'UTF8'),
        convert_to(r.target_parameter, 'UTF8'),
        convert_to(r.counterpart_class, 'UTF8'),
        convert_to(r.reason_code, 'UTF8'),
        convert_to(r.policy_version, 'UTF8'),
        convert_to(r.actor, 'UTF8'),
        uuid_send(r.caused_by),
        uuid_send(r.corrects),
        convert_to(r.correlation_id, 'UTF8'),
        r.trace_id,
        r.span_id,
        sha256(convert_to('coordaudit details', 'UTF8') || decode('00', 'hex') || uuid_send(r.audit_id) || convert_to(r.details::text, 'UTF8')),
        uuid_send(r.source_id),
        int8send(r.source_seq)
    ]) WITH ORDINALITY AS c (value, n)
) AS leaf (bytes);

-- gap
SELECT
    g.seq,
    g.gap_id,
    sha256(decode('00', 'hex') || leaf.bytes) AS leaf_hash
FROM coordination_audit_gaps AS g
CROSS JOIN LATERAL (
    SELECT convert_to('coordaudit gap', 'UTF8') || decode('0001', 'hex')
        || string_agg(coalesce(int4send(octet_length(c.value)) || c.value, decode('ffffffff', 'hex')), ''::bytea ORDER BY c.n)
    FROM unnest(ARRAY[
        int8send(g.seq),
        uuid_send(g.gap_id),
        int8send(g.dropped_safety),
        int8send(g.dropped_reliability),
        int8send(g.dropped_cost),
        int8send(g.dropped_performance),
        int8send(g.dropped_unknown),
        uuid_send(g.first_audit_id),
        uuid_send(g.last_audit_id),
        timestamptz_send(g.lost_from),
        timestamptz_send(g.lost_until),
        convert_to(g.cause, 'UTF8'),
        timestamptz_send(g.recorded_at)
    ]) WITH ORDINALITY AS c (value, n)
) AS leaf (bytes);

-- statement
SELECT
    s.seq,
    s.source_id,
    sha256(decode('00', 'hex') || leaf.bytes) AS leaf_hash
FROM coordination_audit_statements AS s
CROSS JOIN LATERAL (
    SELECT convert_to('coordaudit statement', 'UTF8') || decode('0001', 'hex')
        || string_agg(coalesce(int4send(octet_length(c.value)) || c.value, decode('ffffffff', 'hex')), ''::bytea ORDER BY c.n)
    FROM unnest(ARRAY[
        int8send(s.seq),
        uuid_send(s.source_id),
        int8send(s.statement_no),
        convert_to(s.kind, 'UTF8'),
        int8send(s.accepted_through),
        int8send(s.reserved_through),
        multirange_send(s.dropped),
        multirange_send(s.rejected),
        multirange_send(s.already_persisted),
        multirange_send(s.waiting),
        boolsend(s.waiting_continues),
        convert_to(s.label, 'UTF8'),
        timestamptz_send(s.made_at)
    ]) WITH ORDINALITY AS c (value, n)
) AS leaf (bytes);

-- event
SELECT
    e.seq,
    e.event_id,
    sha256(decode('00', 'hex') || leaf.bytes) AS leaf_hash
FROM coordination_audit_seal_events AS e
CROSS JOIN LATERAL (
    SELECT convert_to('coordaudit event', 'UTF8') || decode('0001', 'hex')
        || string_agg(coalesce(int4send(octet_length(c.value)) || c.value, decode('ffffffff', 'hex')), ''::bytea ORDER BY c.n)
    FROM unnest(ARRAY[
        int8send(e.seq),
        uuid_send(e.event_id),
        convert_to(e.kind, 'UTF8'),
        int8send(e.epoch),
        convert_to(e.body, 'UTF8'),
        timestamptz_send(e.made_at)
    ]) WITH ORDINALITY AS c (value, n)
) AS leaf (bytes);
