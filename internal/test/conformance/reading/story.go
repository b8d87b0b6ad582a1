package reading

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// story persists records in their order, one second apart.
func story(t *testing.T, store *coordaudit.Store, recs ...audit.Record) []audit.Record {
	t.Helper()
	return storyAt(t, store, at, recs...)
}

// storyAt persists records in their order at the times that when returns.
func storyAt(t *testing.T, store *coordaudit.Store, when func(i int) time.Time, recs ...audit.Record) []audit.Record {
	t.Helper()
	for i := range recs {
		recs[i].AuditID = uuid.New()
		recs[i].DecisionTimestamp = when(i)
		if recs[i].EnvelopeClass == "" {
			recs[i].EnvelopeClass = audit.Cost
		}
		recs[i].Reason = "a test's reason"
	}
	if _, err := store.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	return recs
}

func at(i int) time.Time { return time.Date(2026, 1, 2, 0, 0, i, 0, time.UTC) }

func applies(id string) audit.Record { return audit.Record{EnvelopeID: id, Decision: audit.Applied} }

func rejects(id, by string) audit.Record {
	return audit.Record{EnvelopeID: id, Decision: audit.Rejected, ConflictingEnvelopeID: by}
}

func preempts(id, by string) audit.Record {
	return audit.Record{EnvelopeID: id, Decision: audit.Preempted, PreemptingEnvelopeID: by}
}

func ofTenant(tenant string, rec audit.Record) audit.Record {
	rec.TenantID = tenant
	return rec
}

func ofClass(class audit.EnvelopeClass, rec audit.Record) audit.Record {
	rec.EnvelopeClass = class
	return rec
}

// over sets the target and the class of the other envelope.
func over(parameter string, class audit.EnvelopeClass, rec audit.Record) audit.Record {
	rec.TargetSubsystem, rec.TargetParameter, rec.CounterpartClass = "retry", parameter, class
	return rec
}

func ids(recs []audit.Record, indexes ...int) []uuid.UUID {
	ids := make([]uuid.UUID, len(indexes))
	for to, from := range indexes {
		ids[to] = recs[from].AuditID
	}
	return ids
}

func mustFind(t *testing.T, store *coordaudit.Store, q audit.SignalQuery) audit.Signals {
	t.Helper()
	if q.Scope == (audit.Scope{}) {
		q.Scope = audit.AllTenants()
	}
	found, err := store.Signals(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
