package reading

import (
	"bytes"
	cmporder "cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// filled persists records of three tenants and of no tenant, of every class and decision, several at
// the same time. It returns them as they are stored, oldest first.
func filled(t *testing.T, store *coordaudit.Store, n int) []audit.Record {
	t.Helper()
	recs := make([]audit.Record, n)
	for i := range recs {
		recs[i] = explained(i, varied(i))
	}
	results, err := store.PersistMany(t.Context(), recs)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		recs[i] = recs[i].Normalized()
		recs[i].Seq, recs[i].CreatedAt = result.Seq, result.CreatedAt
	}
	slices.SortFunc(recs, inTotalOrder)
	return recs
}

func varied(i int) audit.Record {
	rec := audit.Record{
		AuditID:              uuid.New(),
		EnvelopeID:           fmt.Sprintf("envelope-%d", i%7),
		EnvelopeClass:        audit.EnvelopeClasses()[i%5],
		Decision:             audit.Decisions()[i%3],
		Reason:               fmt.Sprintf("reason %d: 100%% of it_", i%11),
		DecisionTimestamp:    time.Date(2026, 1, 2, 0, 0, i/4%20, i%2*1000, time.UTC),
		ActiveEnvelopesCount: int32(i % 13),
		TenantID:             []string{"acme", "globex", "", "initech"}[i%4],
	}
	switch rec.Decision {
	case audit.Rejected:
		rec.ConflictingEnvelopeID = fmt.Sprintf("envelope-%d", i%6)
	case audit.Preempted:
		rec.PreemptingEnvelopeID = fmt.Sprintf("envelope-%d", i%5)
	case audit.Applied:
	}
	if i%2 == 0 {
		rec.TargetSubsystem, rec.TargetParameter = "retry", fmt.Sprintf("parameter-%d", i%3)
	}
	return rec
}

// explained adds to one record in two what else it may state.
func explained(i int, rec audit.Record) audit.Record {
	if i/2%2 == 0 {
		return rec
	}
	rec.ReasonCode, rec.PolicyVersion, rec.Actor = fmt.Sprintf("CODE_%d", i%5), fmt.Sprintf("policy-%d", i%3), fmt.Sprintf("coordinator-%d", i%7)
	rec.Links = audit.Links{CausedBy: numbered(i % 9), Corrects: numbered(i % 5), CorrelationID: fmt.Sprintf("action-%d", i%11)}
	rec.Origin.TraceID = audit.TraceID{0xff, 15: byte(i % 3)}
	return rec
}

func numbered(n int) uuid.UUID { return uuid.UUID{0xff, 15: byte(n)} }

func inTotalOrder(a, b audit.Record) int {
	return cmporder.Or(
		a.DecisionTimestamp.Compare(b.DecisionTimestamp),
		cmporder.Compare(a.Seq, b.Seq),
		bytes.Compare(a.AuditID[:], b.AuditID[:]))
}

func everyScope() []audit.Scope {
	return []audit.Scope{audit.AllTenants(), audit.Tenant("acme"), audit.Tenant("globex"), audit.NoTenant(), audit.Tenant("absent")}
}

// wanted returns the records that a query matches, found without SQL.
func wanted(recs []audit.Record, q audit.Query) []audit.Record {
	var found []audit.Record
	for _, rec := range recs {
		if (q.Scope.IsAllTenants() || rec.TenantID == q.Scope.TenantID()) &&
			(q.Window.Since.IsZero() || !rec.DecisionTimestamp.Before(q.Window.Since)) &&
			(q.Window.Until.IsZero() || rec.DecisionTimestamp.Before(q.Window.Until)) &&
			(len(q.EnvelopeIDs) == 0 || slices.Contains(q.EnvelopeIDs, rec.EnvelopeID)) &&
			(len(q.EnvelopeClasses) == 0 || slices.Contains(q.EnvelopeClasses, rec.EnvelopeClass)) &&
			(len(q.Decisions) == 0 || slices.Contains(q.Decisions, rec.Decision)) &&
			(q.ConflictingEnvelopeID == "" || rec.ConflictingEnvelopeID == q.ConflictingEnvelopeID) &&
			(q.PreemptingEnvelopeID == "" || rec.PreemptingEnvelopeID == q.PreemptingEnvelopeID) &&
			(q.TargetSubsystem == "" || rec.TargetSubsystem == q.TargetSubsystem) &&
			(q.TargetParameter == "" || rec.TargetParameter == q.TargetParameter) &&
			(q.ReasonCode == "" || rec.ReasonCode == q.ReasonCode) &&
			(q.PolicyVersion == "" || rec.PolicyVersion == q.PolicyVersion) &&
			(q.Actor == "" || rec.Actor == q.Actor) &&
			(q.CausedBy == uuid.Nil || rec.Links.CausedBy == q.CausedBy) &&
			(q.Corrects == uuid.Nil || rec.Links.Corrects == q.Corrects) &&
			(q.CorrelationID == "" || rec.Links.CorrelationID == q.CorrelationID) &&
			(q.TraceID == audit.TraceID{} || rec.Origin.TraceID == q.TraceID) &&
			strings.Contains(rec.Reason, q.ReasonContains) {
			found = append(found, rec)
		}
	}
	if q.Order == audit.NewestFirst {
		slices.Reverse(found)
	}
	return found
}

// pages reads all pages of a query.
func pages(t *testing.T, store *coordaudit.Store, q audit.Query) []audit.Record {
	t.Helper()
	var recs []audit.Record
	for range 20_000 { // a cursor that does not advance would never end
		page, err := store.List(t.Context(), q)
		if err != nil {
			t.Fatalf("after %d records: %v", len(recs), err)
		}
		if q.Limit > 0 && len(page.Records) > q.Limit {
			t.Fatalf("a page of %d records, want at most %d", len(page.Records), q.Limit)
		}
		recs = append(recs, page.Records...)
		if page.Next == "" {
			return recs
		}
		q.After = page.Next
	}
	t.Fatalf("no last page after %d records", len(recs))
	return nil
}

// mustList compares the pages and the count of a query with the stored records.
func mustList(t *testing.T, store *coordaudit.Store, stored []audit.Record, q audit.Query) {
	t.Helper()
	want := wanted(stored, q)
	if diff := cmp.Diff(want, pages(t, store, q)); diff != "" {
		t.Errorf("%+v (-want +got):\n%s", q, diff)
	}
	if n, err := store.Count(t.Context(), q); err != nil || n != int64(len(want)) {
		t.Errorf("%+v: Count() = %d, %v; want %d", q, n, err, len(want))
	}
}
