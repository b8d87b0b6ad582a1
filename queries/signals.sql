-- The signals of a window. Each query first collects what it needs in a materialized CTE. Such CTEs are
-- the only parts that read a distributed table, with a filter or a sum. What follows runs on their
-- results, in one place. So these queries need no correlated subquery, no LATERAL and no join of the
-- table with itself. What they collected is joined by hash only, which the caller sees to: on a table without
-- statistics the planner would expect a row or two, and a nested loop over a week of records takes
-- minutes.
--
-- Evidence is the ids of the records behind a number, the newest first, max_evidence at most. Sorting
-- all records of the window for them took most of the time. So the window has slices, which begin at
-- slices: the newest is a second long, and older ones are longer. The records are counted by group and slice
-- (counted), a slice has its evidence among the newest of its group if fewer than max_evidence records are newer than it
-- (sliced), and only the records of such slices are sorted.
--
-- The top reason code is the most frequent one of these records, and the first of several. witnesses
-- has two kinds of rows: the counts of a group by code, and the records of its newest slices. So
-- one GROUP BY serves both.

-- Counts, per class, all records and the rejected ones in adjacent windows. starts holds the
-- beginnings of the windows. Each window ends where the next one begins. The last one ends at the
-- end, which it includes. Groups of fewer than min_records are left out.
-- name: ListRejectionRates :many
WITH counted AS MATERIALIZED (
    SELECT
        width_bucket(decision_timestamp, @starts::pg_catalog.timestamptz[]) AS window_number,
        envelope_class,
        CASE decision WHEN 'REJECTED' THEN width_bucket(decision_timestamp, @slices::pg_catalog.timestamptz[]) END AS slice,
        CASE decision WHEN 'REJECTED' THEN reason_code END AS reason_code,
        count(*) AS records,
        min(decision_timestamp) AS first_seen,
        max(decision_timestamp) AS last_seen
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
    GROUP BY
        width_bucket(decision_timestamp, @starts::pg_catalog.timestamptz[]),
        envelope_class,
        CASE decision WHEN 'REJECTED' THEN width_bucket(decision_timestamp, @slices::pg_catalog.timestamptz[]) END,
        CASE decision WHEN 'REJECTED' THEN reason_code END
),
sliced AS (
    SELECT
        c.window_number,
        c.envelope_class,
        c.slice,
        min(c.first_seen) AS first_seen,
        sum(sum(c.records)) OVER (PARTITION BY c.window_number, c.envelope_class ORDER BY c.slice DESC) - sum(c.records) AS newer
    FROM counted AS c
    WHERE c.slice IS NOT NULL
    GROUP BY
        c.window_number,
        c.envelope_class,
        c.slice
),
newest AS MATERIALIZED (
    SELECT s.*
    FROM sliced AS s
    WHERE s.newer < @max_evidence::integer
),
selected AS MATERIALIZED (
    SELECT
        audit_id,
        width_bucket(decision_timestamp, @starts::pg_catalog.timestamptz[]) AS window_number,
        envelope_class,
        decision_timestamp,
        seq,
        width_bucket(decision_timestamp, @slices::pg_catalog.timestamptz[]) AS slice
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= (SELECT min(n.first_seen) FROM newest AS n)
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'REJECTED'
),
witnesses AS (
    SELECT
        c.window_number,
        c.envelope_class,
        sum(c.records) AS records,
        sum(c.records) FILTER (WHERE c.slice IS NOT NULL) AS rejected,
        min(c.first_seen) AS first_seen,
        max(c.last_seen) AS last_seen,
        c.reason_code,
        NULL::pg_catalog.uuid AS audit_id,
        NULL::pg_catalog.timestamptz AS decision_timestamp,
        NULL::bigint AS seq
    FROM counted AS c
    GROUP BY
        c.window_number,
        c.envelope_class,
        c.reason_code
    UNION ALL
    SELECT
        s.window_number,
        s.envelope_class,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        s.audit_id,
        s.decision_timestamp,
        s.seq
    FROM selected AS s
    WHERE (s.window_number, s.envelope_class, s.slice) IN (SELECT n.window_number, n.envelope_class, n.slice FROM newest AS n)
)
SELECT
    w.window_number::integer AS window_number,
    w.envelope_class::pg_catalog.text AS envelope_class,
    coalesce(sum(w.rejected), 0)::bigint AS rejected,
    sum(w.records)::bigint AS records,
    min(w.first_seen)::pg_catalog.timestamptz AS first_seen,
    max(w.last_seen)::pg_catalog.timestamptz AS last_seen,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.rejected DESC, w.reason_code COLLATE "C") FILTER (WHERE w.reason_code <> ''))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.rejected) FILTER (WHERE w.reason_code <> ''), 0)::bigint AS top_reason_code_records,
    coalesce(
        (
            array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
            FILTER (WHERE w.audit_id IS NOT NULL)
        )[1:@max_evidence::integer],
        '{}'
    )::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.window_number,
    w.envelope_class
HAVING sum(w.records) >= @min_records::bigint
ORDER BY
    w.window_number,
    rejected DESC,
    w.envelope_class COLLATE "C";

-- Finds oscillations: envelopes that are preempted and come back. A cycle is a PREEMPTED record
-- whose next one, among the envelope's APPLIED and PREEMPTED records of the window, is APPLIED. Two
-- arrays of equal length hold the ids of the preemptors, in order, and how often each one preempted
-- the envelope.
--
-- Only envelopes that were preempted and applied often enough can be reported. These are numbered, since
-- sorting by a number takes half the time of sorting by two texts. The window is read backwards, so the
-- cycles of an envelope are numbered from the newest on without another sort. Each one has two
-- records: the APPLIED one, and before it the PREEMPTED one.
-- name: ListOscillations :many
WITH moves AS MATERIALIZED (
    SELECT
        audit_id,
        decision_timestamp,
        seq,
        decision = 'PREEMPTED' AS is_preempted,
        coalesce(tenant_id, '') AS tenant_id,
        envelope_id,
        coalesce(preempting_envelope_id, '') AS preempting_envelope_id
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision IN ('APPLIED', 'PREEMPTED')
),
envelopes AS MATERIALIZED (
    SELECT
        m.tenant_id,
        m.envelope_id,
        row_number() OVER () AS number
    FROM moves AS m
    GROUP BY
        m.tenant_id,
        m.envelope_id
    HAVING count(*) FILTER (WHERE m.is_preempted) >= @min_cycles::bigint
        AND count(*) FILTER (WHERE NOT m.is_preempted) >= @min_cycles::bigint
),
steps AS (
    SELECT
        e.number AS envelope_number,
        m.audit_id,
        m.decision_timestamp,
        m.seq,
        m.is_preempted,
        m.preempting_envelope_id,
        lag(m.is_preempted) OVER backwards AS next_is_preempted,
        lag(m.audit_id) OVER backwards AS next_audit_id,
        lag(m.decision_timestamp) OVER backwards AS next_timestamp
    FROM moves AS m
    JOIN envelopes AS e ON e.tenant_id = m.tenant_id AND e.envelope_id = m.envelope_id
    WINDOW backwards AS (PARTITION BY e.number ORDER BY m.decision_timestamp DESC, m.seq DESC, m.audit_id DESC)
),
cycles AS MATERIALIZED (
    SELECT
        s.envelope_number,
        s.preempting_envelope_id,
        s.audit_id,
        s.decision_timestamp,
        s.next_audit_id,
        s.next_timestamp,
        row_number() OVER (PARTITION BY s.envelope_number ORDER BY s.decision_timestamp DESC, s.seq DESC, s.audit_id DESC) AS number
    FROM steps AS s
    WHERE s.is_preempted
        AND NOT s.next_is_preempted
),
witnesses AS (
    SELECT
        c.envelope_number,
        c.preempting_envelope_id,
        count(*) AS cycles,
        min(c.decision_timestamp) AS first_preempted,
        max(c.next_timestamp) AS last_reapplied,
        NULL::pg_catalog.uuid AS audit_id,
        NULL::bigint AS place
    FROM cycles AS c
    GROUP BY
        c.envelope_number,
        c.preempting_envelope_id
    UNION ALL
    SELECT
        c.envelope_number,
        NULL,
        NULL,
        NULL,
        NULL,
        c.next_audit_id,
        2 * c.number - 1
    FROM cycles AS c
    WHERE 2 * c.number - 1 <= @max_evidence::integer
    UNION ALL
    SELECT
        c.envelope_number,
        NULL,
        NULL,
        NULL,
        NULL,
        c.audit_id,
        2 * c.number
    FROM cycles AS c
    WHERE 2 * c.number <= @max_evidence::integer
)
SELECT
    e.tenant_id::pg_catalog.text AS tenant_id,
    e.envelope_id::pg_catalog.text AS envelope_id,
    sum(w.cycles)::bigint AS cycles,
    min(w.first_preempted)::pg_catalog.timestamptz AS first_preempted,
    max(w.last_reapplied)::pg_catalog.timestamptz AS last_reapplied,
    (
        array_agg(w.preempting_envelope_id ORDER BY w.preempting_envelope_id COLLATE "C")
        FILTER (WHERE w.cycles IS NOT NULL)
    )::pg_catalog.text[] AS preempting_envelope_ids,
    (
        array_agg(w.cycles ORDER BY w.preempting_envelope_id COLLATE "C")
        FILTER (WHERE w.cycles IS NOT NULL)
    )::bigint[] AS preempting_counts,
    (array_agg(w.audit_id ORDER BY w.place) FILTER (WHERE w.place IS NOT NULL))::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
JOIN envelopes AS e ON e.number = w.envelope_number
GROUP BY
    e.tenant_id,
    e.envelope_id
HAVING sum(w.cycles) >= @min_cycles::bigint
ORDER BY
    cycles DESC,
    e.tenant_id COLLATE "C",
    e.envelope_id COLLATE "C";

-- Counts which classes conflict. A conflict is a REJECTED record and the envelope that stood in its
-- way, or a PREEMPTED one and the envelope that took its place. The other envelope's class is the
-- one in the record. If the record has none, it is the class of the other envelope's latest earlier
-- record of the same tenant with a known class. If there is none either, it is UNRESOLVED.
--
-- Most envelopes have a record shortly before the window or in it, and do not change their class there.
-- Then the class since known_since is enough, for every conflict that is later than the first
-- record of that time. The query looks for the time of the first record only, since there is no min of three columns.
-- If a conflict is not later than that, or the class changes, all records of the envelope are read,
-- and decide. These are few, which the planner does not know: the caller keeps it from reading all records for
-- them. Mostly there are none, and then the count of them keeps the server from reading any record.
--
-- The class since known_since is computed for every envelope of that time. To compute it for those in question
-- only would keep parallel workers away from it.
--
-- The look-up merges both kinds of rows into one order per envelope. It numbers the rows by how many
-- classes came before them, which puts each conflict into the group of the class before it.
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
        seq,
        width_bucket(decision_timestamp, @slices::pg_catalog.timestamptz[]) AS slice
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
others AS MATERIALIZED (
    SELECT
        c.tenant_id,
        c.other_id,
        min(c.decision_timestamp) AS first_conflict
    FROM conflicts AS c
    WHERE c.counterpart_class IS NULL
        AND c.other_id <> c.envelope_id
    GROUP BY
        c.tenant_id,
        c.other_id
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
    GROUP BY
        coalesce(r.tenant_id, ''),
        r.envelope_id
),
classes AS MATERIALIZED (
    SELECT
        o.tenant_id,
        o.other_id,
        CASE WHEN o.first_conflict > l.first_timestamp AND NOT l.changes THEN l.envelope_class END AS envelope_class
    FROM others AS o
    LEFT JOIN lives AS l ON l.tenant_id = o.tenant_id AND l.envelope_id = o.other_id
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
        AND r.envelope_id = ANY (ARRAY(SELECT s.other_id FROM classes AS s WHERE s.envelope_class IS NULL))
        AND coalesce(r.tenant_id, '') = ANY (ARRAY(SELECT s.tenant_id FROM classes AS s WHERE s.envelope_class IS NULL))
        AND (SELECT count(*) FROM classes AS s WHERE s.envelope_class IS NULL) > 0
),
merged AS (
    SELECT
        k.tenant_id,
        k.envelope_id AS other_id,
        k.envelope_class AS known_class,
        k.decision_timestamp,
        k.seq,
        k.audit_id
    FROM known AS k
    UNION ALL
    SELECT
        c.tenant_id,
        c.other_id,
        NULL,
        c.decision_timestamp,
        c.seq,
        c.audit_id
    FROM conflicts AS c
    WHERE c.counterpart_class IS NULL
        AND c.other_id <> c.envelope_id
        AND (c.tenant_id, c.other_id) IN (SELECT s.tenant_id, s.other_id FROM classes AS s WHERE s.envelope_class IS NULL)
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
        n.audit_id,
        n.known_class,
        max(n.known_class) OVER (PARTITION BY n.tenant_id, n.other_id, n.class_number) AS carried_class
    FROM numbered AS n
),
classed AS MATERIALIZED (
    SELECT
        c.audit_id,
        c.decision,
        c.other_id = c.envelope_id AS is_self,
        CASE WHEN c.other_id = c.envelope_id THEN '' ELSE c.envelope_class END AS envelope_class,
        CASE
            WHEN c.other_id = c.envelope_id THEN ''
            ELSE coalesce(c.counterpart_class, s.envelope_class, k.carried_class, 'UNRESOLVED')
        END AS counterpart_class,
        c.reason_code,
        c.decision_timestamp,
        c.seq,
        c.slice
    FROM conflicts AS c
    LEFT JOIN classes AS s ON s.tenant_id = c.tenant_id AND s.other_id = c.other_id
    LEFT JOIN carried AS k ON k.audit_id = c.audit_id AND k.known_class IS NULL
),
counted AS MATERIALIZED (
    SELECT
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.slice,
        c.reason_code,
        count(*) FILTER (WHERE c.decision = 'REJECTED') AS rejected,
        count(*) FILTER (WHERE c.decision = 'PREEMPTED') AS preempted
    FROM classed AS c
    GROUP BY
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.slice,
        c.reason_code
),
sliced AS (
    SELECT
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.slice,
        sum(sum(c.rejected + c.preempted)) OVER (PARTITION BY c.is_self, c.envelope_class, c.counterpart_class ORDER BY c.slice DESC)
        - sum(c.rejected + c.preempted) AS newer
    FROM counted AS c
    GROUP BY
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.slice
),
witnesses AS (
    SELECT
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        sum(c.rejected) AS rejected,
        sum(c.preempted) AS preempted,
        c.reason_code,
        sum(c.rejected + c.preempted) AS records,
        NULL::pg_catalog.uuid AS audit_id,
        NULL::pg_catalog.timestamptz AS decision_timestamp,
        NULL::bigint AS seq
    FROM counted AS c
    GROUP BY
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        c.reason_code
    UNION ALL
    SELECT
        c.is_self,
        c.envelope_class,
        c.counterpart_class,
        NULL,
        NULL,
        NULL,
        NULL,
        c.audit_id,
        c.decision_timestamp,
        c.seq
    FROM classed AS c
    WHERE (c.is_self, c.envelope_class, c.counterpart_class, c.slice) IN (
        SELECT
            s.is_self,
            s.envelope_class,
            s.counterpart_class,
            s.slice
        FROM sliced AS s
        WHERE s.newer < @max_evidence::integer
    )
)
SELECT
    w.is_self::boolean AS is_self,
    w.envelope_class::pg_catalog.text AS envelope_class,
    w.counterpart_class::pg_catalog.text AS counterpart_class,
    sum(w.records)::bigint AS conflicts,
    sum(w.rejected)::bigint AS rejected,
    sum(w.preempted)::bigint AS preempted,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.reason_code <> ''))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.records) FILTER (WHERE w.reason_code <> ''), 0)::bigint AS top_reason_code_records,
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
    OR sum(w.records) >= @min_conflicts::bigint
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
        seq,
        width_bucket(decision_timestamp, @slices::pg_catalog.timestamptz[]) AS slice
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'REJECTED'
),
counted AS MATERIALIZED (
    SELECT
        r.tenant_id,
        r.envelope_id,
        r.slice,
        r.reason_code,
        count(*) AS records,
        min(r.decision_timestamp) AS first_seen,
        max(r.decision_timestamp) AS last_seen
    FROM rejections AS r
    GROUP BY
        r.tenant_id,
        r.envelope_id,
        r.slice,
        r.reason_code
),
sliced AS (
    SELECT
        c.tenant_id,
        c.envelope_id,
        c.slice,
        sum(sum(c.records)) OVER (PARTITION BY c.tenant_id, c.envelope_id) AS records,
        sum(sum(c.records)) OVER (PARTITION BY c.tenant_id, c.envelope_id ORDER BY c.slice DESC) - sum(c.records) AS newer
    FROM counted AS c
    GROUP BY
        c.tenant_id,
        c.envelope_id,
        c.slice
),
witnesses AS (
    SELECT
        c.tenant_id,
        c.envelope_id,
        sum(c.records) AS records,
        min(c.first_seen) AS first_seen,
        max(c.last_seen) AS last_seen,
        c.reason_code,
        NULL::pg_catalog.uuid AS audit_id,
        NULL::pg_catalog.timestamptz AS decision_timestamp,
        NULL::bigint AS seq
    FROM counted AS c
    GROUP BY
        c.tenant_id,
        c.envelope_id,
        c.reason_code
    UNION ALL
    SELECT
        r.tenant_id,
        r.envelope_id,
        NULL,
        NULL,
        NULL,
        NULL,
        r.audit_id,
        r.decision_timestamp,
        r.seq
    FROM rejections AS r
    WHERE (r.tenant_id, r.envelope_id, r.slice) IN (
        SELECT
            s.tenant_id,
            s.envelope_id,
            s.slice
        FROM sliced AS s
        WHERE s.records >= @min_rejections::bigint
            AND s.newer < @max_evidence::integer
    )
)
SELECT
    w.tenant_id::pg_catalog.text AS tenant_id,
    w.envelope_id,
    sum(w.records)::bigint AS rejections,
    min(w.first_seen)::pg_catalog.timestamptz AS first_seen,
    max(w.last_seen)::pg_catalog.timestamptz AS last_seen,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.reason_code <> ''))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.records) FILTER (WHERE w.reason_code <> ''), 0)::bigint AS top_reason_code_records,
    (
        array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
        FILTER (WHERE w.audit_id IS NOT NULL)
    )[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.tenant_id,
    w.envelope_id
HAVING sum(w.records) >= @min_rejections::bigint
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
        seq,
        width_bucket(decision_timestamp, @slices::pg_catalog.timestamptz[]) AS slice
    FROM coordination_audit_records
    WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
        AND decision_timestamp >= @since::pg_catalog.timestamptz
        AND decision_timestamp <= @last::pg_catalog.timestamptz
        AND decision = 'REJECTED'
        AND target_subsystem IS NOT NULL
        AND target_parameter IS NOT NULL
),
counted AS MATERIALIZED (
    SELECT
        r.tenant_id,
        r.target_subsystem,
        r.target_parameter,
        r.slice,
        r.counterpart_class,
        r.reason_code,
        count(*) AS records,
        min(r.decision_timestamp) AS first_seen,
        max(r.decision_timestamp) AS last_seen
    FROM rejections AS r
    GROUP BY
        r.tenant_id,
        r.target_subsystem,
        r.target_parameter,
        r.slice,
        r.counterpart_class,
        r.reason_code
),
sliced AS (
    SELECT
        c.tenant_id,
        c.target_subsystem,
        c.target_parameter,
        c.slice,
        sum(sum(c.records)) OVER (PARTITION BY c.tenant_id, c.target_subsystem, c.target_parameter) AS records,
        sum(sum(c.records)) OVER (PARTITION BY c.tenant_id, c.target_subsystem, c.target_parameter ORDER BY c.slice DESC)
        - sum(c.records) AS newer
    FROM counted AS c
    GROUP BY
        c.tenant_id,
        c.target_subsystem,
        c.target_parameter,
        c.slice
),
witnesses AS (
    SELECT
        c.tenant_id,
        c.target_subsystem,
        c.target_parameter,
        sum(c.records) AS records,
        sum(c.records) FILTER (WHERE c.counterpart_class = 'SAFETY') AS by_safety,
        sum(c.records) FILTER (WHERE c.counterpart_class = 'RELIABILITY') AS by_reliability,
        sum(c.records) FILTER (WHERE c.counterpart_class = 'COST') AS by_cost,
        sum(c.records) FILTER (WHERE c.counterpart_class = 'PERFORMANCE') AS by_performance,
        sum(c.records) FILTER (WHERE c.counterpart_class = 'UNKNOWN') AS by_unknown,
        min(c.first_seen) AS first_seen,
        max(c.last_seen) AS last_seen,
        c.reason_code,
        NULL::pg_catalog.uuid AS audit_id,
        NULL::pg_catalog.timestamptz AS decision_timestamp,
        NULL::bigint AS seq
    FROM counted AS c
    GROUP BY
        c.tenant_id,
        c.target_subsystem,
        c.target_parameter,
        c.reason_code
    UNION ALL
    SELECT
        r.tenant_id,
        r.target_subsystem,
        r.target_parameter,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        r.audit_id,
        r.decision_timestamp,
        r.seq
    FROM rejections AS r
    WHERE (r.tenant_id, r.target_subsystem, r.target_parameter, r.slice) IN (
        SELECT
            s.tenant_id,
            s.target_subsystem,
            s.target_parameter,
            s.slice
        FROM sliced AS s
        WHERE s.records >= @min_rejections::bigint
            AND s.newer < @max_evidence::integer
    )
)
SELECT
    w.tenant_id::pg_catalog.text AS tenant_id,
    w.target_subsystem::pg_catalog.text AS target_subsystem,
    w.target_parameter::pg_catalog.text AS target_parameter,
    sum(w.records)::bigint AS rejections,
    coalesce(sum(w.by_safety), 0)::bigint AS by_safety,
    coalesce(sum(w.by_reliability), 0)::bigint AS by_reliability,
    coalesce(sum(w.by_cost), 0)::bigint AS by_cost,
    coalesce(sum(w.by_performance), 0)::bigint AS by_performance,
    coalesce(sum(w.by_unknown), 0)::bigint AS by_unknown,
    min(w.first_seen)::pg_catalog.timestamptz AS first_seen,
    max(w.last_seen)::pg_catalog.timestamptz AS last_seen,
    coalesce(
        (array_agg(w.reason_code ORDER BY w.records DESC, w.reason_code COLLATE "C") FILTER (WHERE w.reason_code <> ''))[1],
        ''
    )::pg_catalog.text AS top_reason_code,
    coalesce(max(w.records) FILTER (WHERE w.reason_code <> ''), 0)::bigint AS top_reason_code_records,
    (
        array_agg(w.audit_id ORDER BY w.decision_timestamp DESC, w.seq DESC, w.audit_id DESC)
        FILTER (WHERE w.audit_id IS NOT NULL)
    )[1:@max_evidence::integer]::pg_catalog.uuid[] AS evidence
FROM witnesses AS w
GROUP BY
    w.tenant_id,
    w.target_subsystem,
    w.target_parameter
HAVING sum(w.records) >= @min_rejections::bigint
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
