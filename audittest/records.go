package audittest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Querier is a *pgxpool.Pool, or a pgx.Tx for a look into a transaction that has not
// been committed.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Records returns the whole trail in the order of insertion, all tenants' records.
func Records(tb testing.TB, ctx context.Context, db Querier) []audit.Record { //nolint:revive // tb comes first, as in every test helper
	tb.Helper()
	rows, err := db.Query(ctx, `
		SELECT audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, coalesce(conflicting_envelope_id, ''),
			coalesce(preempting_envelope_id, ''), active_envelopes_count, coalesce(tenant_id, ''), coalesce(target_subsystem, ''),
			coalesce(target_parameter, ''), coalesce(counterpart_class, ''), seq, created_at
		FROM coordination_audit_records
		ORDER BY seq`)
	if err != nil {
		tb.Fatalf("reading the trail: %v", err)
	}
	recs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (rec audit.Record, err error) {
		err = row.Scan(&rec.AuditID, &rec.EnvelopeID, &rec.EnvelopeClass, &rec.Decision, &rec.Reason, &rec.DecisionTimestamp, &rec.ConflictingEnvelopeID,
			&rec.PreemptingEnvelopeID, &rec.ActiveEnvelopesCount, &rec.TenantID, &rec.TargetSubsystem, &rec.TargetParameter, &rec.CounterpartClass,
			&rec.Seq, &rec.CreatedAt)
		rec.CreatedAt = rec.CreatedAt.UTC()
		return rec.Normalized(), err
	})
	if err != nil {
		tb.Fatalf("reading the trail: %v", err)
	}
	return recs
}

// RequirePersisted ends the test unless the trail holds exactly these records, in
// any order. A zero AuditID stands for any id. Seq and CreatedAt are not compared,
// and the rest is compared as it is stored: times in UTC and microseconds, no class
// as UNKNOWN.
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

// trailDiff is empty if the records are the same. Otherwise it shows only what
// differs, each record beside the one that it most likely was to be.
func trailDiff(want, got []audit.Record) string {
	want, got = asCompared(want), asCompared(got)
	closeness := []func(want, got audit.Record) bool{
		func(want, got audit.Record) bool { return want == got },
		func(want, got audit.Record) bool { return want.AuditID == uuid.Nil && want == withID(got, uuid.Nil) },
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
			if rec.AuditID == uuid.Nil {
				rec.AuditID = got[i].AuditID
			}
			if rec != got[i] {
				wanted, found = append(wanted, rec), append(found, got[i])
			}
			got = slices.Delete(got, i, i+1)
			return true
		})
	}
	return cmp.Diff(append(wanted, want...), append(found, got...))
}

// asCompared returns the records as they are compared. Normalized times are all in
// UTC and without a monotonic clock, so that == compares them.
func asCompared(recs []audit.Record) []audit.Record {
	normalized := make([]audit.Record, len(recs))
	for i, rec := range recs {
		normalized[i] = rec.Normalized()
		normalized[i].Seq, normalized[i].CreatedAt = 0, time.Time{}
	}
	return normalized
}

func withID(rec audit.Record, id uuid.UUID) audit.Record {
	rec.AuditID = id
	return rec
}
