package audittest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Querier is a *pgxpool.Pool, or a pgx.Tx to read in an uncommitted transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Records returns the records of all tenants in the order of insertion.
func Records(tb testing.TB, ctx context.Context, db Querier) []audit.Record { //nolint:revive // tb comes first, as in every test helper
	tb.Helper()
	rows, err := db.Query(ctx, `
		SELECT audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, coalesce(conflicting_envelope_id, ''),
			coalesce(preempting_envelope_id, ''), active_envelopes_count, coalesce(tenant_id, ''), coalesce(target_subsystem, ''),
			coalesce(target_parameter, ''), coalesce(counterpart_class, ''), coalesce(reason_code, ''), coalesce(policy_version, ''),
			coalesce(actor, ''), caused_by, corrects, coalesce(correlation_id, ''), trace_id, span_id, coalesce(details::text, ''),
			source_id, coalesce(source_seq, 0), seq, created_at
		FROM coordination_audit_records
		ORDER BY seq, audit_id`)
	if err != nil {
		tb.Fatalf("reading the trail: %v", err)
	}
	recs, err := pgx.CollectRows(rows, recordOf)
	if err != nil {
		tb.Fatalf("reading the trail: %v", err)
	}
	return recs
}

func recordOf(row pgx.CollectableRow) (rec audit.Record, err error) {
	var decided, created pgtype.Timestamptz
	var causedBy, corrects, source pgtype.UUID
	var trace, span []byte
	err = row.Scan(&rec.AuditID, &rec.EnvelopeID, &rec.EnvelopeClass, &rec.Decision, &rec.Reason, &decided, &rec.ConflictingEnvelopeID,
		&rec.PreemptingEnvelopeID, &rec.ActiveEnvelopesCount, &rec.TenantID, &rec.TargetSubsystem, &rec.TargetParameter, &rec.CounterpartClass,
		&rec.ReasonCode, &rec.PolicyVersion, &rec.Actor, &causedBy, &corrects, &rec.Links.CorrelationID, &trace, &span, &rec.Details,
		&source, &rec.Origin.SourceSeq, &rec.Seq, &created)
	rec.DecisionTimestamp, rec.CreatedAt = timeOf(decided), timeOf(created)
	rec.Links.CausedBy, rec.Links.Corrects, rec.Origin.SourceID = causedBy.Bytes, corrects.Bytes, source.Bytes
	if len(trace) == len(rec.Origin.TraceID) { // an adopted table may hold anything
		rec.Origin.TraceID = audit.TraceID(trace)
	}
	if len(span) == len(rec.Origin.SpanID) {
		rec.Origin.SpanID = audit.SpanID(span)
	}
	return rec.Normalized(), err
}

// timeOf returns a stored time as the library reads it. Adopted rows may hold infinite
// times, which a time.Time cannot scan.
func timeOf(at pgtype.Timestamptz) time.Time {
	switch at.InfinityModifier {
	case pgtype.Infinity:
		return audit.InfiniteFuture()
	case pgtype.NegativeInfinity:
		return audit.InfinitePast()
	default:
		return at.Time.UTC()
	}
}

// RequirePersisted ends the test unless the trail holds exactly these records, in any
// order. A zero AuditID matches any id. An Origin without a trace matches any trace, and
// one without a source any source, because a Recorder sets its own. Seq and CreatedAt are
// not compared. The rest is compared as it is stored, with times in UTC and microseconds,
// no class as UNKNOWN, and details in their normal form.
func RequirePersisted(tb testing.TB, ctx context.Context, db Querier, want ...audit.Record) { //nolint:revive // tb comes first, as in every test helper
	tb.Helper()
	if diff := trailDiff(want, Records(tb, ctx, db)); diff != "" {
		tb.Fatalf("the trail differs (-want +got):\n%s", diff)
	}
}

// RequireNoRecords ends the test unless the trail is empty.
func RequireNoRecords(tb testing.TB, ctx context.Context, db Querier) { //nolint:revive // tb comes first, as in every test helper
	tb.Helper()
	RequirePersisted(tb, ctx, db)
}

// trailDiff returns "" if the records are equal. Otherwise it shows only the
// differences, each record next to the one that it most likely stands for.
func trailDiff(want, got []audit.Record) string {
	want, got = asCompared(want), asCompared(got)
	// What states most comes first, so that the others do not take its record.
	closeness := []func(want, got audit.Record) bool{
		func(want, got audit.Record) bool { return want.AuditID == got.AuditID && fits(want, got) },
		func(want, got audit.Record) bool { return want.Origin.SourceID != uuid.Nil && fits(want, got) },
		func(want, got audit.Record) bool { return want.Origin.TraceID != audit.TraceID{} && fits(want, got) },
		fits,
		func(want, got audit.Record) bool { return want.AuditID == got.AuditID },
		func(want, got audit.Record) bool {
			return want.AuditID == uuid.Nil && want.EnvelopeID == got.EnvelopeID
		},
	}
	var wanted, found []audit.Record
	for _, alike := range closeness {
		want = slices.DeleteFunc(want, func(rec audit.Record) bool {
			i := slices.IndexFunc(got, func(other audit.Record) bool { return alike(rec, other) })
			if i < 0 {
				return false
			}
			if rec = filled(rec, got[i]); rec != got[i] {
				wanted, found = append(wanted, rec), append(found, got[i])
			}
			got = slices.Delete(got, i, i+1)
			return true
		})
	}
	return cmp.Diff(append(wanted, want...), append(found, got...))
}

// asCompared returns the records in the form in which they are compared. Normalized
// times are in UTC and without a monotonic clock, so == compares them.
func asCompared(recs []audit.Record) []audit.Record {
	normalized := make([]audit.Record, len(recs))
	for i, rec := range recs {
		normalized[i] = rec.Normalized()
		normalized[i].Seq, normalized[i].CreatedAt = 0, time.Time{}
	}
	return normalized
}

func fits(want, got audit.Record) bool { return filled(want, got) == got }

// filled returns a wanted record with what it leaves open taken from a record of the trail.
func filled(want, got audit.Record) audit.Record {
	if want.AuditID == uuid.Nil {
		want.AuditID = got.AuditID
	}
	if want.Origin.TraceID == (audit.TraceID{}) && want.Origin.SpanID == (audit.SpanID{}) {
		want.Origin.TraceID, want.Origin.SpanID = got.Origin.TraceID, got.Origin.SpanID
	}
	if want.Origin.SourceID == uuid.Nil && want.Origin.SourceSeq == 0 {
		want.Origin.SourceID, want.Origin.SourceSeq = got.Origin.SourceID, got.Origin.SourceSeq
	}
	return want
}
