-- The signals of a window. Each query first collects what it needs in a materialized CTE. This is
-- the only part that reads a distributed table, with a filter or a sum. What follows runs on its
-- result, in one place. So these queries need no correlated subquery, no LATERAL and no join of the
-- table with itself. Nor do they join what they collected: on a table without statistics the planner
-- would expect a row or two, and a nested loop over a week of records takes minutes.
--
-- Evidence is the ids of the records behind a number, the newest first, max_evidence at most.
--
-- The top reason code is the most frequent one of these records, and the first of several. The records
-- are counted by code, and each count is one more row of its group, without an id. So one GROUP BY
-- serves both, and a record without a code costs nothing.

-- Counts, per class, all records and the rejected ones in adjacent windows. starts holds the
-- beginnings of the windows. Each window ends where the next one begins. The last one ends at the
-- end, which it includes. Groups of fewer than min_records are left out.
-- name: ListRejectionRates :many
WITH counted AS MATERIALIZED (
    SELECT
        width_bucket(decision_timestamp, @starts::pg_catalog.timestamptz[]) AS window_number,
        envelope_class,
        count(*) FILTER (WHERE decision = 'REJECTED') AS rejected,
        count(*) AS records,
        min(decision_timestamp) AS first_seen,
        max(decision_timestamp) AS last_seen
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
    GROUP BY
        width_bucket(decision_timestamp, @starts::pg_catalog.timestamptz[]),
        envelope_class
    HAVING count(*) >= @min_records::bigint
),
selected AS MATERIALIZED (
    SELECT
        audit_id,
        width_bucket(decision_timestamp, @starts::pg_catalog.timestamptz[]) AS window_number,
        envelope_class,
        reason_code,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'REJECTED'
),
witnesses AS (
    SELECT
        s.window_number,
        s.envelope_class,
        s.audit_id,
        s.decision_timestamp,
        s.seq,
        NULL AS reason_code,
        NULL AS code_records
    FROM selected AS s
    UNION ALL
    SELECT
        s.window_number,
        s.envelope_class,
        NULL,
        NULL,
        NULL,
        s.reason_code,
        count(*)
    FROM selected AS s
    WHERE s.reason_code <> ''
    GROUP BY
        s.window_number,
        s.envelope_class,
        s.reason_code
),
evidence AS (
    SELECT
        w.window_number,
        w.envelope_class,
        (array_agg(w.reason_code ORDER BY w.code_records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.audit_id IS NULL))[1] AS top_reason_code,
        max(w.code_records) AS top_reason_code_records,
        (
            array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
            FILTER (WHERE w.audit_id IS NOT NULL)
        )[1:@max_evidence::integer] AS ids
    FROM witnesses AS w
    GROUP BY
        w.window_number,
        w.envelope_class
)
SELECT
    c.window_number::integer AS window_number,
    c.envelope_class::pg_catalog.text AS envelope_class,
    c.rejected::bigint AS rejected,
    c.records::bigint AS records,
    c.first_seen::pg_catalog.timestamptz AS first_seen,
    c.last_seen::pg_catalog.timestamptz AS last_seen,
    coalesce(e.top_reason_code, '')::pg_catalog.text AS top_reason_code,
    coalesce(e.top_reason_code_records, 0)::bigint AS top_reason_code_records,
    coalesce(e.ids, '{}')::pg_catalog.uuid[] AS evidence
FROM counted AS c
LEFT JOIN evidence AS e ON e.window_number = c.window_number AND e.envelope_class = c.envelope_class
ORDER BY
    c.window_number,
    c.rejected DESC,
    c.envelope_class COLLATE "C";

-- Finds oscillations: envelopes that are preempted and come back. A cycle is a PREEMPTED record
-- whose next one, among the envelope's APPLIED and PREEMPTED records of the window, is APPLIED. Two
-- arrays of equal length hold the ids of the preemptors, in order, and how often each one preempted
-- the envelope.
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
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
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
    WINDOW envelope AS (PARTITION BY m.tenant_id, m.envelope_id ORDER BY m.decision_timestamp, m.seq, m.audit_id)
),
cycles AS (
    SELECT
        s.*,
        row_number() OVER (
            PARTITION BY s.tenant_id, s.envelope_id, s.preempting_envelope_id
            ORDER BY s.decision_timestamp, s.seq, s.audit_id
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
    w.tenant_id::pg_catalog.text AS tenant_id,
    w.envelope_id::pg_catalog.text AS envelope_id,
    count(*) FILTER (WHERE w.decision = 'PREEMPTED') AS cycles,
    (min(w.decision_timestamp) FILTER (WHERE w.decision = 'PREEMPTED'))::pg_catalog.timestamptz AS first_preempted,
    (max(w.decision_timestamp) FILTER (WHERE w.decision = 'APPLIED'))::pg_catalog.timestamptz AS last_reapplied,
    (
        array_agg(w.preempting_envelope_id ORDER BY w.preempting_envelope_id COLLATE "C")
        FILTER (WHERE w.preempting_envelope_id IS NOT NULL)
    )::pg_catalog.text[] AS preempting_envelope_ids,
    (
        array_agg(w.count_by_preempting ORDER BY w.preempting_envelope_id COLLATE "C")
        FILTER (WHERE w.preempting_envelope_id IS NOT NULL)
    )::bigint[] AS preempting_counts,
    (array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC))[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.tenant_id,
    w.envelope_id
HAVING count(*) FILTER (WHERE w.decision = 'PREEMPTED') >= @min_cycles::bigint
ORDER BY
    cycles DESC,
    w.tenant_id COLLATE "C",
    w.envelope_id COLLATE "C";

-- Counts which classes conflict. A conflict is a REJECTED record and the envelope that stood in its
-- way, or a PREEMPTED one and the envelope that took its place. The other envelope's class is the
-- one in the record. If the record has none, it is the class of the other envelope's latest earlier
-- record of the same tenant with a known class. If there is none either, it is UNRESOLVED.
--
-- Most envelopes have a record shortly before the window or in it, and do not change their class there.
-- Then the first record since known_since is enough. Sorting the others, which are nearly all of
-- them, took half of the query's time, and reading those of earlier times another third. The query looks for the
-- time of the first record only, since there is no min of three columns. If a conflict is not later
-- than that, or the class changes, all records of the envelope are read, and decide. These are few, and
-- as an array the planner takes them for few, and for the index.
--
-- The look-up merges both kinds of rows into one order per envelope. It numbers the rows by how many
-- classes came before them, which puts each conflict into the group of the class before it. The
-- first record of an envelope comes after all rows of its time.
--
-- Envelopes that conflict with themselves come as one row of their own, is_self. min_conflicts does
-- not apply to it.
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
        reason_code,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND CASE decision
            WHEN 'REJECTED' THEN coalesce(conflicting_envelope_id, '') <> ''
            WHEN 'PREEMPTED' THEN coalesce(preempting_envelope_id, '') <> ''
            ELSE false
        END
),
open_conflicts AS (
    SELECT c.*
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
        min(r.decision_timestamp) AS first_timestamp
    FROM coordination_audit_records AS r
    WHERE (@all_tenants::boolean OR coalesce(r.tenant_id, '') = @tenant_id::pg_catalog.text)
        AND r.decision_timestamp >= @known_since::pg_catalog.timestamptz
        AND r.decision_timestamp <= @last::pg_catalog.timestamptz
        AND r.envelope_class <> 'UNKNOWN'
        AND r.envelope_id IN (SELECT DISTINCT o.other_id FROM open_conflicts AS o)
    GROUP BY
        coalesce(r.tenant_id, ''),
        r.envelope_id
),
moments AS (
    SELECT
        l.tenant_id,
        l.envelope_id,
        l.first_timestamp,
        NULL::pg_catalog.timestamptz AS conflict_timestamp
    FROM lives AS l
    UNION ALL
    SELECT
        o.tenant_id,
        o.other_id,
        NULL,
        o.decision_timestamp
    FROM open_conflicts AS o
),
sought AS MATERIALIZED (
    SELECT l.envelope_id
    FROM lives AS l
    WHERE l.changes
    UNION
    SELECT m.envelope_id
    FROM moments AS m
    GROUP BY
        m.tenant_id,
        m.envelope_id
    HAVING count(m.first_timestamp) = 0
        OR min(m.conflict_timestamp) <= min(m.first_timestamp)
),
known AS MATERIALIZED (
    SELECT
        coalesce(r.tenant_id, '') AS tenant_id,
        r.envelope_id,
        r.envelope_class,
        r.decision_timestamp,
        r.seq,
        r.audit_id
    FROM coordination_audit_records AS r
    WHERE (@all_tenants::boolean OR coalesce(r.tenant_id, '') = @tenant_id::pg_catalog.text)
        AND r.decision_timestamp <= @last::pg_catalog.timestamptz
        AND r.envelope_class <> 'UNKNOWN'
        AND r.envelope_id = ANY (ARRAY(SELECT s.envelope_id FROM sought AS s))
),
merged AS (
    SELECT
        l.tenant_id,
        l.envelope_id AS other_id,
        l.envelope_class AS known_class,
        l.first_timestamp AS decision_timestamp,
        9223372036854775807 AS seq,
        'ffffffff-ffff-ffff-ffff-ffffffffffff'::pg_catalog.uuid AS audit_id,
        NULL AS envelope_class,
        NULL AS decision,
        NULL AS reason_code
    FROM lives AS l
    WHERE NOT l.changes
    UNION ALL
    SELECT
        k.*,
        NULL,
        NULL,
        NULL
    FROM known AS k
    UNION ALL
    SELECT
        o.tenant_id,
        o.other_id,
        NULL,
        o.decision_timestamp,
        o.seq,
        o.audit_id,
        o.envelope_class,
        o.decision,
        o.reason_code
    FROM open_conflicts AS o
),
numbered AS (
    SELECT
        m.*,
        count(m.known_class) OVER (
            PARTITION BY m.tenant_id, m.other_id
            ORDER BY m.decision_timestamp, m.seq, m.audit_id
            ROWS UNBOUNDED PRECEDING
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
        false AS is_self,
        c.envelope_class,
        coalesce(c.carried_class, 'UNRESOLVED') AS counterpart_class,
        c.reason_code,
        c.decision_timestamp,
        c.seq
    FROM carried AS c
    WHERE c.decision IS NOT NULL
    UNION ALL
    SELECT
        s.audit_id,
        s.decision,
        s.other_id = s.envelope_id,
        CASE WHEN s.other_id = s.envelope_id THEN '' ELSE s.envelope_class END,
        CASE WHEN s.other_id = s.envelope_id THEN '' ELSE s.counterpart_class END,
        s.reason_code,
        s.decision_timestamp,
        s.seq
    FROM conflicts AS s
    WHERE s.counterpart_class IS NOT NULL
        OR s.other_id = s.envelope_id
),
witnesses AS (
    SELECT
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.audit_id,
        c.decision,
        c.decision_timestamp,
        c.seq,
        NULL AS reason_code,
        NULL AS code_records
    FROM classed AS c
    UNION ALL
    SELECT
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        NULL,
        NULL,
        NULL,
        NULL,
        c.reason_code,
        count(*)
    FROM classed AS c
    WHERE c.reason_code <> ''
    GROUP BY
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.reason_code
)
SELECT
    w.is_self::boolean AS is_self,
    w.envelope_class::pg_catalog.text AS envelope_class,
    w.counterpart_class::pg_catalog.text AS counterpart_class,
    count(w.audit_id) AS conflicts,
    count(*) FILTER (WHERE w.decision = 'REJECTED') AS rejected,
    count(*) FILTER (WHERE w.decision = 'PREEMPTED') AS preempted,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.code_records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.audit_id IS NULL))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.code_records), 0)::bigint AS top_reason_code_records,
    (
        array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
        FILTER (WHERE w.audit_id IS NOT NULL)
    )[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.is_self,
    w.envelope_class,
    w.counterpart_class
HAVING w.is_self
    OR count(w.audit_id) >= @min_conflicts::bigint
ORDER BY
    conflicts DESC,
    w.envelope_class COLLATE "C",
    w.counterpart_class COLLATE "C";

-- Finds the envelopes that are rejected repeatedly.
-- name: ListRepeatedRejections :many
WITH rejections AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        reason_code,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'REJECTED'
),
witnesses AS (
    SELECT
        r.tenant_id,
        r.envelope_id,
        r.audit_id,
        r.decision_timestamp,
        r.seq,
        NULL AS reason_code,
        NULL AS code_records
    FROM rejections AS r
    UNION ALL
    SELECT
        r.tenant_id,
        r.envelope_id,
        NULL,
        NULL,
        NULL,
        r.reason_code,
        count(*)
    FROM rejections AS r
    WHERE r.reason_code <> ''
    GROUP BY
        r.tenant_id,
        r.envelope_id,
        r.reason_code
)
SELECT
    w.tenant_id::pg_catalog.text AS tenant_id,
    w.envelope_id,
    count(w.audit_id) AS rejections,
    min(w.decision_timestamp)::pg_catalog.timestamptz AS first_seen,
    max(w.decision_timestamp)::pg_catalog.timestamptz AS last_seen,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.code_records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.audit_id IS NULL))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.code_records), 0)::bigint AS top_reason_code_records,
    (
        array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
        FILTER (WHERE w.audit_id IS NOT NULL)
    )[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.tenant_id,
    w.envelope_id
HAVING count(w.audit_id) >= @min_rejections::bigint
ORDER BY
    rejections DESC,
    w.tenant_id COLLATE "C",
    w.envelope_id COLLATE "C";

-- Finds the parameters over which envelopes are rejected, if the records name them, by the class of
-- the envelope that stood in the way.
-- name: ListRepeatedParameterRejections :many
WITH rejections AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        target_subsystem,
        target_parameter,
        counterpart_class,
        reason_code,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'REJECTED'
        AND target_subsystem IS NOT NULL
        AND target_parameter IS NOT NULL
),
witnesses AS (
    SELECT
        r.tenant_id,
        r.target_subsystem,
        r.target_parameter,
        r.audit_id,
        r.counterpart_class,
        r.decision_timestamp,
        r.seq,
        NULL AS reason_code,
        NULL AS code_records
    FROM rejections AS r
    UNION ALL
    SELECT
        r.tenant_id,
        r.target_subsystem,
        r.target_parameter,
        NULL,
        NULL,
        NULL,
        NULL,
        r.reason_code,
        count(*)
    FROM rejections AS r
    WHERE r.reason_code <> ''
    GROUP BY
        r.tenant_id,
        r.target_subsystem,
        r.target_parameter,
        r.reason_code
)
SELECT
    w.tenant_id::pg_catalog.text AS tenant_id,
    w.target_subsystem::pg_catalog.text AS target_subsystem,
    w.target_parameter::pg_catalog.text AS target_parameter,
    count(w.audit_id) AS rejections,
    count(*) FILTER (WHERE w.counterpart_class = 'SAFETY') AS by_safety,
    count(*) FILTER (WHERE w.counterpart_class = 'RELIABILITY') AS by_reliability,
    count(*) FILTER (WHERE w.counterpart_class = 'COST') AS by_cost,
    count(*) FILTER (WHERE w.counterpart_class = 'PERFORMANCE') AS by_performance,
    count(*) FILTER (WHERE w.counterpart_class = 'UNKNOWN') AS by_unknown,
    min(w.decision_timestamp)::pg_catalog.timestamptz AS first_seen,
    max(w.decision_timestamp)::pg_catalog.timestamptz AS last_seen,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.code_records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.audit_id IS NULL))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.code_records), 0)::bigint AS top_reason_code_records,
    (
        array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
        FILTER (WHERE w.audit_id IS NOT NULL)
    )[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.tenant_id,
    w.target_subsystem,
    w.target_parameter
HAVING count(w.audit_id) >= @min_rejections::bigint
ORDER BY
    rejections DESC,
    w.tenant_id COLLATE "C",
    w.target_subsystem COLLATE "C",
    w.target_parameter COLLATE "C";

-- Lists who was preempted by whom, and how often, the most frequent first, as far as it can be part
-- of a cycle: each of the two has lost to somebody and has won over somebody. Most envelopes of most
-- trails do one of them only.
-- name: ListPreemptionEdges :many
WITH edges AS MATERIALIZED (
    SELECT
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        preempting_envelope_id,
        count(*) AS preemptions
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'PREEMPTED'
        AND coalesce(preempting_envelope_id, '') NOT IN ('', envelope_id)
    GROUP BY
        coalesce(tenant_id, ''),
        envelope_id,
        preempting_envelope_id
),
ends AS (
    SELECT
        e.*,
        e.envelope_id AS node,
        true AS lost
    FROM edges AS e
    UNION ALL
    SELECT
        e.*,
        e.preempting_envelope_id,
        false
    FROM edges AS e
),
marked AS (
    SELECT
        n.*,
        bool_or(n.lost) OVER both_ends AND NOT bool_and(n.lost) OVER both_ends AS goes_on
    FROM ends AS n
    WINDOW both_ends AS (PARTITION BY n.tenant_id, n.node)
)
SELECT
    m.tenant_id::pg_catalog.text AS tenant_id,
    m.envelope_id::pg_catalog.text AS envelope_id,
    m.preempting_envelope_id::pg_catalog.text AS preempting_envelope_id,
    max(m.preemptions)::bigint AS preemptions
FROM marked AS m
GROUP BY
    m.tenant_id,
    m.envelope_id,
    m.preempting_envelope_id
HAVING bool_and(m.goes_on)
ORDER BY
    preemptions DESC,
    m.tenant_id COLLATE "C",
    m.envelope_id COLLATE "C",
    m.preempting_envelope_id COLLATE "C"
LIMIT @max_edges::integer;

-- Lists the preemptions among some envelopes, by who was preempted by whom. It returns more pairs
-- than the cycles of these envelopes have.
-- name: ListPreemptionEvidence :many
WITH preemptions AS MATERIALIZED (
    SELECT
        audit_id,
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        preempting_envelope_id,
        decision_timestamp,
        seq
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'PREEMPTED'
        AND envelope_id = ANY (@envelope_ids::pg_catalog.text[])
        AND preempting_envelope_id = ANY (@envelope_ids::pg_catalog.text[])
)
SELECT
    p.tenant_id::pg_catalog.text AS tenant_id,
    p.envelope_id::pg_catalog.text AS envelope_id,
    p.preempting_envelope_id::pg_catalog.text AS preempting_envelope_id,
    min(p.decision_timestamp)::pg_catalog.timestamptz AS first_seen,
    max(p.decision_timestamp)::pg_catalog.timestamptz AS last_seen,
    (array_agg(p.audit_id ORDER BY p.decision_timestamp DESC, p.seq DESC, p.audit_id DESC))[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM preemptions AS p
GROUP BY
    p.tenant_id,
    p.envelope_id,
    p.preempting_envelope_id;
