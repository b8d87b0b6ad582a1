-- The signals of a window. Each first collects what it needs in a materialized CTE: that is all
-- that a distributed table is asked, by a filter or a sum, and what follows runs on its result, in
-- one place. So these queries need no correlated subquery, no LATERAL and no join of the table with
-- itself. Nor do they join what they collected: on a table without statistics the planner would take
-- it for a row or two, and a nested loop over a week of records takes minutes.
--
-- Evidence is the ids of the records behind a number, the newest first, max_evidence at most.

-- Counts, per class, all records and the rejected ones, in each of the adjacent windows between the
-- bounds: window n is [bounds[n], bounds[n + 1]). Groups of fewer than min_records are left out.
-- name: ListRejectionRates :many
WITH selected AS MATERIALIZED (
    SELECT
        audit_id,
        width_bucket(decision_timestamp, @bounds::timestamptz[]) AS window_number,
        envelope_class,
        decision,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
        AND decision_timestamp >= @since::timestamptz
        AND decision_timestamp < @until::timestamptz
),
counted AS (
    SELECT
        s.window_number,
        s.envelope_class,
        count(*) FILTER (WHERE s.decision = 'REJECTED') AS rejected,
        count(*) AS records,
        min(s.decision_timestamp) AS first_seen,
        max(s.decision_timestamp) AS last_seen
    FROM selected AS s
    GROUP BY
        s.window_number,
        s.envelope_class
    HAVING count(*) >= @min_records::bigint
),
evidence AS (
    SELECT
        s.window_number,
        s.envelope_class,
        (array_agg(s.audit_id ORDER BY s.decision_timestamp DESC, s.seq DESC))[1:@max_evidence::integer] AS ids
    FROM selected AS s
    WHERE s.decision = 'REJECTED'
    GROUP BY
        s.window_number,
        s.envelope_class
)
SELECT
    c.window_number::integer AS window_number,
    c.envelope_class::text AS envelope_class,
    c.rejected::bigint AS rejected,
    c.records::bigint AS records,
    c.first_seen::timestamptz AS first_seen,
    c.last_seen::timestamptz AS last_seen,
    coalesce(e.ids, '{}')::uuid[] AS evidence
FROM counted AS c
LEFT JOIN evidence AS e ON e.window_number = c.window_number AND e.envelope_class = c.envelope_class
ORDER BY
    c.window_number,
    c.rejected DESC,
    c.envelope_class COLLATE "C";

-- Finds the envelopes that are put out and come back: a cycle is a PREEMPTED record whose next one,
-- among the envelope's APPLIED and PREEMPTED records of the window, is APPLIED. Who put them out is
-- told by two arrays of equal length, in the order of the ids.
-- name: ListOscillations :many
WITH moves AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        decision,
        coalesce(preempting_envelope_id, '') AS preempting_envelope_id,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
        AND decision_timestamp >= @since::timestamptz
        AND decision_timestamp < @until::timestamptz
        AND decision IN ('APPLIED', 'PREEMPTED')
),
steps AS (
    SELECT
        m.*,
        lead(m.decision) OVER envelope AS next_decision,
        lead(m.audit_id) OVER envelope AS next_audit_id,
        lead(m.decision_timestamp) OVER envelope AS next_timestamp,
        lead(m.seq) OVER envelope AS next_seq
    FROM moves AS m
    WINDOW envelope AS (PARTITION BY m.tenant_id, m.envelope_id ORDER BY m.decision_timestamp, m.seq)
),
cycles AS (
    SELECT
        s.*,
        row_number() OVER (
            PARTITION BY s.tenant_id, s.envelope_id, s.preempting_envelope_id
            ORDER BY s.decision_timestamp, s.seq
        ) AS number_by_preempting,
        count(*) OVER (PARTITION BY s.tenant_id, s.envelope_id, s.preempting_envelope_id) AS count_by_preempting
    FROM steps AS s
    WHERE s.decision = 'PREEMPTED'
        AND s.next_decision = 'APPLIED'
),
witnesses AS (
    SELECT
        c.tenant_id,
        c.envelope_id,
        c.decision,
        c.audit_id,
        c.decision_timestamp,
        c.seq,
        CASE c.number_by_preempting WHEN 1 THEN c.preempting_envelope_id END AS preempting_envelope_id,
        c.count_by_preempting
    FROM cycles AS c
    UNION ALL
    SELECT
        c.tenant_id,
        c.envelope_id,
        c.next_decision,
        c.next_audit_id,
        c.next_timestamp,
        c.next_seq,
        NULL,
        NULL
    FROM cycles AS c
)
SELECT
    w.tenant_id::text AS tenant_id,
    w.envelope_id::text AS envelope_id,
    count(*) FILTER (WHERE w.decision = 'PREEMPTED') AS cycles,
    (min(w.decision_timestamp) FILTER (WHERE w.decision = 'PREEMPTED'))::timestamptz AS first_preempted,
    (max(w.decision_timestamp) FILTER (WHERE w.decision = 'APPLIED'))::timestamptz AS last_reapplied,
    (
        array_agg(w.preempting_envelope_id ORDER BY w.preempting_envelope_id COLLATE "C")
        FILTER (WHERE w.preempting_envelope_id IS NOT NULL)
    )::text[] AS preempting_envelope_ids,
    (
        array_agg(w.count_by_preempting ORDER BY w.preempting_envelope_id COLLATE "C")
        FILTER (WHERE w.preempting_envelope_id IS NOT NULL)
    )::bigint[] AS preempting_counts,
    (array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC))[1:@max_evidence::integer]::uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.tenant_id,
    w.envelope_id
HAVING count(*) FILTER (WHERE w.decision = 'PREEMPTED') >= @min_cycles::bigint
ORDER BY
    cycles DESC,
    w.tenant_id COLLATE "C",
    w.envelope_id COLLATE "C";

-- Counts who meets whom, by class: a REJECTED record and the envelope that stood in its way, a
-- PREEMPTED one and the envelope that took its place. The other envelope's class is what the record
-- says; where it says nothing, that of the other envelope's latest earlier record of the same tenant
-- with a known class; and if there is none, UNRESOLVED.
--
-- Of an envelope that never changed its class the first record is enough; sorting the others, which
-- are nearly all, took half of the query's time. Place is (time, seq) as one number, since there is
-- no min of two: microseconds, and seq below them. -infinity, which only an adopted row can hold,
-- takes the place of the least finite time.
--
-- The look-up merges both kinds of rows into one order per envelope: numbering the rows by how many
-- classes came up to them puts each conflict into the group of the class before it.
--
-- Envelopes that meet themselves come as one row of their own, with both classes empty; min_conflicts
-- does not apply to it.
-- name: ListFriction :many
WITH conflicts AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        envelope_class,
        decision,
        CASE decision WHEN 'REJECTED' THEN conflicting_envelope_id ELSE preempting_envelope_id END AS other_id,
        counterpart_class,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
        AND decision_timestamp >= @since::timestamptz
        AND decision_timestamp < @until::timestamptz
        AND CASE decision
            WHEN 'REJECTED' THEN coalesce(conflicting_envelope_id, '') <> ''
            WHEN 'PREEMPTED' THEN coalesce(preempting_envelope_id, '') <> ''
            ELSE false
        END
),
open_conflicts AS (
    SELECT
        c.*,
        extract(epoch FROM greatest(c.decision_timestamp, '4714-11-24 00:00:00+00 BC')) * 1000000 * 9223372036854775808 + c.seq AS place
    FROM conflicts AS c
    WHERE c.counterpart_class IS NULL
        AND c.other_id <> c.envelope_id
),
lives AS MATERIALIZED (
    SELECT
        coalesce(r.tenant_id, '') AS tenant_id,
        r.envelope_id,
        min(r.envelope_class) AS envelope_class,
        min(r.envelope_class) <> max(r.envelope_class) AS changes,
        min(extract(epoch FROM greatest(r.decision_timestamp, '4714-11-24 00:00:00+00 BC')) * 1000000 * 9223372036854775808 + r.seq) AS place
    FROM coordination_audit_records AS r
    WHERE (@all_tenants::boolean OR coalesce(r.tenant_id, '') = @tenant_id::text)
        AND r.decision_timestamp < @until::timestamptz
        AND r.envelope_class <> 'UNKNOWN'
        AND r.envelope_id IN (SELECT DISTINCT o.other_id FROM open_conflicts AS o)
    GROUP BY
        coalesce(r.tenant_id, ''),
        r.envelope_id
),
changing AS MATERIALIZED (
    SELECT
        coalesce(r.tenant_id, '') AS tenant_id,
        r.envelope_id,
        r.envelope_class,
        extract(epoch FROM greatest(r.decision_timestamp, '4714-11-24 00:00:00+00 BC')) * 1000000 * 9223372036854775808 + r.seq AS place
    FROM coordination_audit_records AS r
    WHERE (@all_tenants::boolean OR coalesce(r.tenant_id, '') = @tenant_id::text)
        AND r.decision_timestamp < @until::timestamptz
        AND r.envelope_class <> 'UNKNOWN'
        AND r.envelope_id IN (SELECT DISTINCT l.envelope_id FROM lives AS l WHERE l.changes)
),
merged AS (
    SELECT
        l.tenant_id,
        l.envelope_id AS other_id,
        l.envelope_class AS known_class,
        l.place,
        NULL::uuid AS audit_id,
        NULL AS envelope_class,
        NULL AS decision,
        NULL::timestamptz AS decision_timestamp,
        NULL::bigint AS seq
    FROM lives AS l
    WHERE NOT l.changes
    UNION ALL
    SELECT
        k.tenant_id,
        k.envelope_id,
        k.envelope_class,
        k.place,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL
    FROM changing AS k
    UNION ALL
    SELECT
        o.tenant_id,
        o.other_id,
        NULL,
        o.place,
        o.audit_id,
        o.envelope_class,
        o.decision,
        o.decision_timestamp,
        o.seq
    FROM open_conflicts AS o
),
numbered AS (
    SELECT
        m.*,
        count(m.known_class) OVER (
            PARTITION BY m.tenant_id, m.other_id
            ORDER BY m.place
        ) AS class_number
    FROM merged AS m
),
carried AS (
    SELECT
        n.*,
        max(n.known_class) OVER (PARTITION BY n.tenant_id, n.other_id, n.class_number) AS carried_class
    FROM numbered AS n
),
classed AS (
    SELECT
        c.audit_id,
        c.decision,
        c.envelope_class,
        coalesce(c.carried_class, 'UNRESOLVED') AS counterpart_class,
        c.decision_timestamp,
        c.seq
    FROM carried AS c
    WHERE c.audit_id IS NOT NULL
    UNION ALL
    SELECT
        s.audit_id,
        s.decision,
        CASE WHEN s.other_id = s.envelope_id THEN '' ELSE s.envelope_class END,
        CASE WHEN s.other_id = s.envelope_id THEN '' ELSE s.counterpart_class END,
        s.decision_timestamp,
        s.seq
    FROM conflicts AS s
    WHERE s.counterpart_class IS NOT NULL
        OR s.other_id = s.envelope_id
)
SELECT
    f.envelope_class::text AS envelope_class,
    f.counterpart_class::text AS counterpart_class,
    count(*) AS conflicts,
    count(*) FILTER (WHERE f.decision = 'REJECTED') AS rejected,
    count(*) FILTER (WHERE f.decision = 'PREEMPTED') AS preempted,
    (array_agg(f.audit_id ORDER BY f.decision_timestamp DESC, f.seq DESC))[1:@max_evidence::integer]::uuid[] AS evidence
FROM classed AS f
GROUP BY
    f.envelope_class,
    f.counterpart_class
HAVING f.envelope_class = ''
    OR count(*) >= @min_conflicts::bigint
ORDER BY
    conflicts DESC,
    f.envelope_class COLLATE "C",
    f.counterpart_class COLLATE "C";

-- Finds the envelopes that ask again and again, and are rejected each time.
-- name: ListRepeatedRejections :many
WITH rejections AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
        AND decision_timestamp >= @since::timestamptz
        AND decision_timestamp < @until::timestamptz
        AND decision = 'REJECTED'
)
SELECT
    r.tenant_id::text AS tenant_id,
    r.envelope_id,
    count(*) AS rejections,
    min(r.decision_timestamp)::timestamptz AS first_seen,
    max(r.decision_timestamp)::timestamptz AS last_seen,
    (array_agg(r.audit_id ORDER BY r.decision_timestamp DESC, r.seq DESC))[1:@max_evidence::integer]::uuid[] AS evidence
FROM rejections AS r
GROUP BY
    r.tenant_id,
    r.envelope_id
HAVING count(*) >= @min_rejections::bigint
ORDER BY
    rejections DESC,
    r.tenant_id COLLATE "C",
    r.envelope_id COLLATE "C";

-- Finds the parameters that envelopes are rejected over, where records say which they are, and by
-- the class of the envelope that stood in the way.
-- name: ListRepeatedParameterRejections :many
WITH rejections AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        target_subsystem,
        target_parameter,
        counterpart_class,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
        AND decision_timestamp >= @since::timestamptz
        AND decision_timestamp < @until::timestamptz
        AND decision = 'REJECTED'
        AND target_subsystem IS NOT NULL
        AND target_parameter IS NOT NULL
)
SELECT
    r.tenant_id::text AS tenant_id,
    r.target_subsystem::text AS target_subsystem,
    r.target_parameter::text AS target_parameter,
    count(*) AS rejections,
    count(*) FILTER (WHERE r.counterpart_class = 'SAFETY') AS by_safety,
    count(*) FILTER (WHERE r.counterpart_class = 'RELIABILITY') AS by_reliability,
    count(*) FILTER (WHERE r.counterpart_class = 'COST') AS by_cost,
    count(*) FILTER (WHERE r.counterpart_class = 'PERFORMANCE') AS by_performance,
    count(*) FILTER (WHERE r.counterpart_class = 'UNKNOWN') AS by_unknown,
    min(r.decision_timestamp)::timestamptz AS first_seen,
    max(r.decision_timestamp)::timestamptz AS last_seen,
    (array_agg(r.audit_id ORDER BY r.decision_timestamp DESC, r.seq DESC))[1:@max_evidence::integer]::uuid[] AS evidence
FROM rejections AS r
GROUP BY
    r.tenant_id,
    r.target_subsystem,
    r.target_parameter
HAVING count(*) >= @min_rejections::bigint
ORDER BY
    rejections DESC,
    r.tenant_id COLLATE "C",
    r.target_subsystem COLLATE "C",
    r.target_parameter COLLATE "C";
