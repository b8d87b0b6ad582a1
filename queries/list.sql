-- The pages of a listing are keyset pages. (decision_timestamp, seq, audit_id) is a total order, and
-- a page begins after the last record of the previous one. seq alone does not make the order total:
-- a restore or a failover can set the sequence back, and then it repeats numbers. The indexes end
-- with seq. The server reads its range from an index, and sorts by audit_id only where the columns
-- before it are equal.
--
-- A range includes both ends, and an open end is infinite. With an exclusive end, an open range would
-- hide the rows at 'infinity', which is not less than itself.
--
-- There are three kinds of listing, each in both directions:
--
-- * The records of one tenant (or of no tenant, the empty text). It must cost the same for a rare
--   tenant as for a frequent one, regardless of the plan that the server has cached. With "=" the
--   time index could serve the order as well. A generic plan does not know how rare the tenant is,
--   so it would walk through everyone's records to find one. Equality by ANY, and the tenant in
--   ORDER BY, leave one index that serves both. internal/auditdriver tests it.
-- * The records of all tenants. Only the time index fits.
-- * Filtered records, under any scope. The best index depends on the values, so the driver sends
--   these queries in a mode in which the server plans each execution for its values. Then a filter
--   that is not set folds to true, and "column = value" is left of one that is set. That equality
--   proves the column not NULL, so the partial indexes fit.

-- Lists a page of one tenant's records, newest first: from a position down to an end.
-- name: ListTenantRecordsNewestFirst :many
SELECT *
FROM coordination_audit_records
WHERE coalesce(tenant_id, '') = ANY (ARRAY[@tenant_id::pg_catalog.text])
    AND decision_timestamp >= @end_timestamp::pg_catalog.timestamptz
    AND (decision_timestamp, seq, audit_id) <= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
ORDER BY
    coalesce(tenant_id, '') DESC,
    decision_timestamp DESC,
    seq DESC,
    audit_id DESC
LIMIT @page_size::integer;

-- Lists a page of one tenant's records, oldest first: from a position up to an end.
-- name: ListTenantRecordsOldestFirst :many
SELECT *
FROM coordination_audit_records
WHERE coalesce(tenant_id, '') = ANY (ARRAY[@tenant_id::pg_catalog.text])
    AND decision_timestamp <= @end_timestamp::pg_catalog.timestamptz
    AND (decision_timestamp, seq, audit_id) >= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
ORDER BY
    coalesce(tenant_id, ''),
    decision_timestamp,
    seq,
    audit_id
LIMIT @page_size::integer;

-- Lists a page of all tenants' records, newest first: from a position down to an end.
-- name: ListAllRecordsNewestFirst :many
SELECT *
FROM coordination_audit_records
WHERE decision_timestamp >= @end_timestamp::pg_catalog.timestamptz
    AND (decision_timestamp, seq, audit_id) <= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
ORDER BY
    decision_timestamp DESC,
    seq DESC,
    audit_id DESC
LIMIT @page_size::integer;

-- Lists a page of all tenants' records, oldest first: from a position up to an end.
-- name: ListAllRecordsOldestFirst :many
SELECT *
FROM coordination_audit_records
WHERE decision_timestamp <= @end_timestamp::pg_catalog.timestamptz
    AND (decision_timestamp, seq, audit_id) >= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
ORDER BY
    decision_timestamp,
    seq,
    audit_id
LIMIT @page_size::integer;

-- Lists a page of the records that pass every filter, newest first, from a position down to an end.
-- An empty filter passes all records.
-- name: ListFilteredRecordsNewestFirst :many
SELECT *
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND (cardinality(@envelope_ids::pg_catalog.text[]) = 0 OR envelope_id = ANY (@envelope_ids::pg_catalog.text[]))
    AND (cardinality(@envelope_classes::pg_catalog.text[]) = 0 OR envelope_class = ANY (@envelope_classes::pg_catalog.text[]))
    AND (cardinality(@decisions::pg_catalog.text[]) = 0 OR decision = ANY (@decisions::pg_catalog.text[]))
    AND (@conflicting_envelope_id::pg_catalog.text = '' OR conflicting_envelope_id = @conflicting_envelope_id::pg_catalog.text)
    AND (@preempting_envelope_id::pg_catalog.text = '' OR preempting_envelope_id = @preempting_envelope_id::pg_catalog.text)
    AND (@target_subsystem::pg_catalog.text = '' OR target_subsystem = @target_subsystem::pg_catalog.text)
    AND (@target_parameter::pg_catalog.text = '' OR target_parameter = @target_parameter::pg_catalog.text)
    AND (@reason_contains::pg_catalog.text = '' OR strpos(reason, @reason_contains::pg_catalog.text) > 0)
    AND (@reason_code::pg_catalog.text = '' OR reason_code = @reason_code::pg_catalog.text)
    AND (@policy_version::pg_catalog.text = '' OR policy_version = @policy_version::pg_catalog.text)
    AND (@actor::pg_catalog.text = '' OR actor = @actor::pg_catalog.text)
    AND (@caused_by::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR caused_by = @caused_by::pg_catalog.uuid)
    AND (@corrects::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR corrects = @corrects::pg_catalog.uuid)
    AND (@correlation_id::pg_catalog.text = '' OR correlation_id = @correlation_id::pg_catalog.text)
    AND (@trace_id::pg_catalog.bytea = '' OR trace_id = @trace_id::pg_catalog.bytea)
    AND decision_timestamp >= @end_timestamp::pg_catalog.timestamptz
    AND (decision_timestamp, seq, audit_id) <= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
ORDER BY
    decision_timestamp DESC,
    seq DESC,
    audit_id DESC
LIMIT @page_size::integer;

-- Lists a page of the records that pass every filter, oldest first, from a position up to an end. An
-- empty filter passes all records.
-- name: ListFilteredRecordsOldestFirst :many
SELECT *
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND (cardinality(@envelope_ids::pg_catalog.text[]) = 0 OR envelope_id = ANY (@envelope_ids::pg_catalog.text[]))
    AND (cardinality(@envelope_classes::pg_catalog.text[]) = 0 OR envelope_class = ANY (@envelope_classes::pg_catalog.text[]))
    AND (cardinality(@decisions::pg_catalog.text[]) = 0 OR decision = ANY (@decisions::pg_catalog.text[]))
    AND (@conflicting_envelope_id::pg_catalog.text = '' OR conflicting_envelope_id = @conflicting_envelope_id::pg_catalog.text)
    AND (@preempting_envelope_id::pg_catalog.text = '' OR preempting_envelope_id = @preempting_envelope_id::pg_catalog.text)
    AND (@target_subsystem::pg_catalog.text = '' OR target_subsystem = @target_subsystem::pg_catalog.text)
    AND (@target_parameter::pg_catalog.text = '' OR target_parameter = @target_parameter::pg_catalog.text)
    AND (@reason_contains::pg_catalog.text = '' OR strpos(reason, @reason_contains::pg_catalog.text) > 0)
    AND (@reason_code::pg_catalog.text = '' OR reason_code = @reason_code::pg_catalog.text)
    AND (@policy_version::pg_catalog.text = '' OR policy_version = @policy_version::pg_catalog.text)
    AND (@actor::pg_catalog.text = '' OR actor = @actor::pg_catalog.text)
    AND (@caused_by::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR caused_by = @caused_by::pg_catalog.uuid)
    AND (@corrects::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR corrects = @corrects::pg_catalog.uuid)
    AND (@correlation_id::pg_catalog.text = '' OR correlation_id = @correlation_id::pg_catalog.text)
    AND (@trace_id::pg_catalog.bytea = '' OR trace_id = @trace_id::pg_catalog.bytea)
    AND decision_timestamp <= @end_timestamp::pg_catalog.timestamptz
    AND (decision_timestamp, seq, audit_id) >= (@from_timestamp::pg_catalog.timestamptz, @from_seq::bigint, @from_audit_id::pg_catalog.uuid)
ORDER BY
    decision_timestamp,
    seq,
    audit_id
LIMIT @page_size::integer;

-- Counts the records that pass every filter. An empty filter passes all records.
-- name: CountFilteredRecords :one
SELECT count(*)
FROM coordination_audit_records
WHERE (@all_tenants::boolean OR coalesce(tenant_id, '') = @tenant_id::pg_catalog.text)
    AND (cardinality(@envelope_ids::pg_catalog.text[]) = 0 OR envelope_id = ANY (@envelope_ids::pg_catalog.text[]))
    AND (cardinality(@envelope_classes::pg_catalog.text[]) = 0 OR envelope_class = ANY (@envelope_classes::pg_catalog.text[]))
    AND (cardinality(@decisions::pg_catalog.text[]) = 0 OR decision = ANY (@decisions::pg_catalog.text[]))
    AND (@conflicting_envelope_id::pg_catalog.text = '' OR conflicting_envelope_id = @conflicting_envelope_id::pg_catalog.text)
    AND (@preempting_envelope_id::pg_catalog.text = '' OR preempting_envelope_id = @preempting_envelope_id::pg_catalog.text)
    AND (@target_subsystem::pg_catalog.text = '' OR target_subsystem = @target_subsystem::pg_catalog.text)
    AND (@target_parameter::pg_catalog.text = '' OR target_parameter = @target_parameter::pg_catalog.text)
    AND (@reason_contains::pg_catalog.text = '' OR strpos(reason, @reason_contains::pg_catalog.text) > 0)
    AND (@reason_code::pg_catalog.text = '' OR reason_code = @reason_code::pg_catalog.text)
    AND (@policy_version::pg_catalog.text = '' OR policy_version = @policy_version::pg_catalog.text)
    AND (@actor::pg_catalog.text = '' OR actor = @actor::pg_catalog.text)
    AND (@caused_by::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR caused_by = @caused_by::pg_catalog.uuid)
    AND (@corrects::pg_catalog.uuid = '00000000-0000-0000-0000-000000000000' OR corrects = @corrects::pg_catalog.uuid)
    AND (@correlation_id::pg_catalog.text = '' OR correlation_id = @correlation_id::pg_catalog.text)
    AND (@trace_id::pg_catalog.bytea = '' OR trace_id = @trace_id::pg_catalog.bytea)
    AND decision_timestamp >= @since::pg_catalog.timestamptz
    AND decision_timestamp <= @last::pg_catalog.timestamptz;
