package auditdriver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// asRow returns the row that the parameters of one INSERT make.
func asRow(p dbgen.PersistAuditRecordParams) dbgen.AuditRecord {
	return dbgen.AuditRecord{
		AuditID: p.AuditID, EnvelopeID: p.EnvelopeID, EnvelopeClass: p.EnvelopeClass, Decision: p.Decision, Reason: p.Reason, DecisionTimestamp: p.DecisionTimestamp,
		ConflictingEnvelopeID: p.ConflictingEnvelopeID, PreemptingEnvelopeID: p.PreemptingEnvelopeID, ActiveEnvelopesCount: p.ActiveEnvelopesCount, TenantID: p.TenantID,
		TargetSubsystem: p.TargetSubsystem, TargetParameter: p.TargetParameter, CounterpartClass: p.CounterpartClass,
		ReasonCode: p.ReasonCode, PolicyVersion: p.PolicyVersion, Actor: p.Actor, CausedBy: p.CausedBy, Corrects: p.Corrects, CorrelationID: p.CorrelationID,
		TraceID: p.TraceID, SpanID: p.SpanID, Details: []byte(value(p.Details)), SourceID: p.SourceID, SourceSeq: p.SourceSeq,
	}
}

func TestRowRoundTrip(t *testing.T) {
	t.Parallel()
	full := distinct()
	for name, rec := range map[string]audit.Record{
		"every field stated": full,
		"the least":          {AuditID: full.AuditID, EnvelopeID: "e", EnvelopeClass: audit.Unknown, Decision: audit.Applied, Reason: "r", DecisionTimestamp: full.DecisionTimestamp},
	} {
		row := asRow(persistParams(&rec))
		zone := time.FixedZone("", -7200)
		row.Seq = 42
		row.CreatedAt, row.DecisionTimestamp = toPGTime(rec.DecisionTimestamp.Add(time.Second).In(zone)), toPGTime(rec.DecisionTimestamp.In(zone))
		want := rec
		want.Seq, want.CreatedAt = 42, rec.DecisionTimestamp.Add(time.Second)
		if got := fromRows([]dbgen.AuditRecord{row}); len(got) != 1 || got[0] != want {
			t.Errorf("%s: (-want +got):\n%s", name, cmp.Diff([]audit.Record{want}, got))
		}
	}
	none := dbgen.PersistAuditRecordParams{AuditID: toPG(uuid.Nil), DecisionTimestamp: toPGTime(time.Time{})}
	if diff := cmp.Diff(none, persistParams(&audit.Record{})); diff != "" {
		t.Errorf("what is not stated must be NULL (-want +got):\n%s", diff)
	}
}

// Without our CHECKs, another program may store any bytes as an id, and any JSON.
func TestOddRowsAreRead(t *testing.T) {
	t.Parallel()
	row := asRow(persistParams(&audit.Record{}))
	row.TraceID, row.SpanID, row.Details = []byte("too short"), []byte("too long for a span"), []byte("[null]")
	if got := fromRow(&row); got.Origin != (audit.Origin{}) || got.Details != "[null]" {
		t.Errorf("origin %+v, details %q; want none, and what is stored", got.Origin, got.Details)
	}
}

func TestBatchSendsEachIDOnce(t *testing.T) {
	t.Parallel()
	a, b := distinct(), distinct()
	b.AuditID, b.Reason, b.TenantID, b.Decision = uuid.UUID{15: 2}, "other", "", audit.Rejected
	b.ReasonCode, b.Links, b.Details, b.Origin = "", audit.Links{}, "", audit.Origin{}
	again := a
	again.Reason = "again"
	recs := []audit.Record{a, b, again}
	got := persistManyParams(recs, firstOfEachID(recs))
	at := toPGTime(a.DecisionTimestamp)
	want := dbgen.PersistAuditRecordsParams{
		AuditIDs: allToPG([]uuid.UUID{a.AuditID, b.AuditID}), EnvelopeIDs: []string{"envelope", "envelope"}, EnvelopeClasses: []string{"COST", "COST"},
		Decisions: []string{"PREEMPTED", "REJECTED"}, Reasons: []string{"réason", "other"}, DecisionTimestamps: []pgtype.Timestamptz{at, at},
		ConflictingEnvelopeIDs: []string{"conflicting", "conflicting"}, PreemptingEnvelopeIDs: []string{"preempting", "preempting"},
		ActiveEnvelopesCounts: []int32{a.ActiveEnvelopesCount, b.ActiveEnvelopesCount}, TenantIDs: []string{"tenant", ""},
		TargetSubsystems: []string{"subsystem", "subsystem"}, TargetParameters: []string{"parameter", "parameter"}, CounterpartClasses: []string{"SAFETY", "SAFETY"},
		ReasonCodes: []string{"code", ""}, PolicyVersions: []string{"policy", "policy"}, Actors: []string{"actor", "actor"},
		Causes: allToPG([]uuid.UUID{a.Links.CausedBy, uuid.Nil}), Corrections: allToPG([]uuid.UUID{a.Links.Corrects, uuid.Nil}), CorrelationIDs: []string{"correlation", ""},
		TraceIDs: [][]byte{a.Origin.TraceID[:], {}}, SpanIDs: [][]byte{a.Origin.SpanID[:], {}}, Details: []string{`{"a": 1}`, ""},
		SourceIDs: allToPG([]uuid.UUID{a.Origin.SourceID, uuid.Nil}), SourceSeqs: []int64{a.Origin.SourceSeq, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uuid.UUID{a.AuditID, b.AuditID}, allFromPG(got.AuditIDs)); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"COST", "SAFETY"}, texts([]audit.EnvelopeClass{audit.Cost, audit.Safety})); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
}

func TestUsualBatchSendsNoArrayOfNone(t *testing.T) {
	t.Parallel()
	rec := distinct()
	rec.ReasonCode, rec.PolicyVersion, rec.Actor, rec.Links, rec.Details, rec.Origin = "", "", "", audit.Links{}, "", audit.Origin{}
	recs := []audit.Record{rec}
	got := persistManyParams(recs, firstOfEachID(recs))
	if got.ReasonCodes != nil || got.PolicyVersions != nil || got.Actors != nil || got.Causes != nil || got.Corrections != nil || got.CorrelationIDs != nil ||
		got.TraceIDs != nil || got.SpanIDs != nil || got.Details != nil || got.SourceIDs != nil || got.SourceSeqs != nil {
		t.Errorf("parameters %+v, want none of what no record states", got)
	}
}
