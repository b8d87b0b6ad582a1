-- The pages of a listing are keyset pages: (decision_timestamp, seq) is a total order, and a page
-- begins where the last one ended. A bound that is not wanted is passed as one that no row
-- reaches.
--
-- There are three kinds of listing, each in both directions:
--
-- * One tenant's (or no tenant's: the empty text). It is to cost the same for a rare tenant as for
--   a frequent one, whatever plan the server has cached. With "=" the time index could serve the
--   order as well, and a generic plan, which does not know how rare the tenant is, would then walk
--   through everyone's records to find one. Equality by ANY and the tenant in ORDER BY leave one
--   index that serves both; internal/auditdriver tests it.
-- * All tenants'. Only the time index fits.
-- * Filtered, under any scope. Which index is best depends on the values, so the driver sends
--   these in a mode in which each execution is planned for its values.

-- Lists a page of one tenant's records, newest first: those below a position, down to an end, which is included.
-- name: ListTenantRecordsNewestFirst :many
SELECT *
FROM coordination_audit_records
WHERE coalesce(tenant_id, '') = ANY (ARRAY[@tenant_id::text])
    AND decision_timestamp >= @end_timestamp::timestamptz
    AND (decision_timestamp, seq) < (@from_timestamp::timestamptz, @from_seq::bigint)
ORDER BY
    coalesce(tenant_id, '') DESC,
    decision_timestamp DESC,
    seq DESC
LIMIT @page_size::integer;

-- Lists a page of one tenant's records, oldest first: those above a position, up to an end, which is left out.
-- name: ListTenantRecordsOldestFirst :many
SELECT *
FROM coordination_audit_records
WHERE coalesce(tenant_id, '') = ANY (ARRAY[@tenant_id::text])
    AND decision_timestamp < @end_timestamp::timestamptz
    AND (decision_timestamp, seq) > (@from_timestamp::timestamptz, @from_seq::bigint)
ORDER BY
    coalesce(tenant_id, ''),
    decision_timestamp,
    seq
LIMIT @page_size::integer;

-- Lists a page of all tenants' records, newest first: those below a position, down to an end, which is included.
-- name: ListAllRecordsNewestFirst :many
SELECT *
FROM coordination_audit_records
WHERE decision_timestamp >= @end_timestamp::timestamptz
    AND (decision_timestamp, seq) < (@from_timestamp::timestamptz, @from_seq::bigint)
ORDER BY
    decision_timestamp DESC,
    seq DESC
LIMIT @page_size::integer;

-- Lists a page of all tenants' records, oldest first: those above a position, up to an end, which is left out.
-- name: ListAllRecordsOldestFirst :many
SELECT *
FROM coordination_audit_records
WHERE decision_timestamp < @end_timestamp::timestamptz
    AND (decision_timestamp, seq) > (@from_timestamp::timestamptz, @from_seq::bigint)
ORDER BY
    decision_timestamp,
    seq
LIMIT @page_size::integer;

-- Lists a page of the records that pass every filter, newest first, between a
-- position and an end as above. An empty filter lets all pass.
-- name: ListFilteredRecordsNewestFirst :many
SELECT *
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND (cardinality(@envelope_ids::text[]) = 0 OR envelope_id = ANY (@envelope_ids::text[]))
    AND (cardinality(@envelope_classes::text[]) = 0 OR envelope_class = ANY (@envelope_classes::text[]))
    AND (cardinality(@decisions::text[]) = 0 OR decision = ANY (@decisions::text[]))
    AND (@conflicting_envelope_id::text = '' OR conflicting_envelope_id = @conflicting_envelope_id::text)
    AND (@preempting_envelope_id::text = '' OR preempting_envelope_id = @preempting_envelope_id::text)
    AND (@target_subsystem::text = '' OR target_subsystem = @target_subsystem::text)
    AND (@target_parameter::text = '' OR target_parameter = @target_parameter::text)
    AND (@reason_contains::text = '' OR strpos(reason, @reason_contains::text) > 0)
    AND decision_timestamp >= @end_timestamp::timestamptz
    AND (decision_timestamp, seq) < (@from_timestamp::timestamptz, @from_seq::bigint)
ORDER BY
    decision_timestamp DESC,
    seq DESC
LIMIT @page_size::integer;

-- Lists a page of the records that pass every filter, oldest first, between a
-- position and an end as above. An empty filter lets all pass.
-- name: ListFilteredRecordsOldestFirst :many
SELECT *
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND (cardinality(@envelope_ids::text[]) = 0 OR envelope_id = ANY (@envelope_ids::text[]))
    AND (cardinality(@envelope_classes::text[]) = 0 OR envelope_class = ANY (@envelope_classes::text[]))
    AND (cardinality(@decisions::text[]) = 0 OR decision = ANY (@decisions::text[]))
    AND (@conflicting_envelope_id::text = '' OR conflicting_envelope_id = @conflicting_envelope_id::text)
    AND (@preempting_envelope_id::text = '' OR preempting_envelope_id = @preempting_envelope_id::text)
    AND (@target_subsystem::text = '' OR target_subsystem = @target_subsystem::text)
    AND (@target_parameter::text = '' OR target_parameter = @target_parameter::text)
    AND (@reason_contains::text = '' OR strpos(reason, @reason_contains::text) > 0)
    AND decision_timestamp < @end_timestamp::timestamptz
    AND (decision_timestamp, seq) > (@from_timestamp::timestamptz, @from_seq::bigint)
ORDER BY
    decision_timestamp,
    seq
LIMIT @page_size::integer;

-- Counts the records that pass every filter. An empty filter lets all pass.
-- name: CountFilteredRecords :one
SELECT count(*)
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::text)
    AND (cardinality(@envelope_ids::text[]) = 0 OR envelope_id = ANY (@envelope_ids::text[]))
    AND (cardinality(@envelope_classes::text[]) = 0 OR envelope_class = ANY (@envelope_classes::text[]))
    AND (cardinality(@decisions::text[]) = 0 OR decision = ANY (@decisions::text[]))
    AND (@conflicting_envelope_id::text = '' OR conflicting_envelope_id = @conflicting_envelope_id::text)
    AND (@preempting_envelope_id::text = '' OR preempting_envelope_id = @preempting_envelope_id::text)
    AND (@target_subsystem::text = '' OR target_subsystem = @target_subsystem::text)
    AND (@target_parameter::text = '' OR target_parameter = @target_parameter::text)
    AND (@reason_contains::text = '' OR strpos(reason, @reason_contains::text) > 0)
    AND decision_timestamp >= @since::timestamptz
    AND decision_timestamp < @until::timestamptz;
