package persisting

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func mustLoad(t *testing.T, store *coordaudit.Store, recs []audit.Record, want audit.Counts) {
	t.Helper()
	want.Attempts = int64(len(recs))
	counts, err := store.PersistManyFast(t.Context(), recs)
	if diff := cmp.Diff(want, counts); err != nil || diff != "" {
		t.Fatalf("PersistManyFast() = %v (-want +got):\n%s", err, diff)
	}
}

// tracedStore returns a store and counts the statements that its connections sent.
func tracedStore(t *testing.T, url string, config coordaudit.Config) (store *coordaudit.Store, sent func(statement string) int) {
	t.Helper()
	var log fixture.Log
	config.Tracer = coordaudit.NewTraceLogger(log.Logger())
	return fixture.OpenStore(t, url, config), func(statement string) (n int) {
		for _, event := range log.Events(t, "audit_statement") {
			if event["statement"] == statement {
				n++
			}
		}
		return n
	}
}

// The records reach the limits of every column and need more than one message of COPY.
func fastStoresInOrder(t *testing.T, db frame.Database) {
	store, sent := tracedStore(t, db.URL, fixture.Quiet())
	recs := fixture.NewRecords(500)
	for i := range recs {
		rec := &recs[i]
		rec.Reason = strings.Repeat(`é "\N" 🚀`+"\t\n", 1+i%50)
		rec.DecisionTimestamp = time.Date(1+i*20, 2, 28, 23, 59, 59, 999_999_999, time.FixedZone("", 3600*(i%24-12)))
		rec.ActiveEnvelopesCount = int32(1<<31 - 1 - i)
		switch i % 3 {
		case 0:
			rec.Decision, rec.ConflictingEnvelopeID, rec.TenantID = audit.Rejected, strings.Repeat("é", 100), ""
			rec.TargetSubsystem, rec.TargetParameter, rec.CounterpartClass = "router", "\\.", audit.Unknown
		case 1:
			rec.Decision, rec.PreemptingEnvelopeID, rec.EnvelopeClass = audit.Preempted, "b", ""
			full := fixture.NewFullRecord()
			rec.ReasonCode, rec.PolicyVersion, rec.Actor = strings.Repeat("é", 100), "\\N", "\t"
			rec.Links, rec.Details, rec.Origin = full.Links, full.Details, full.Origin
		}
	}
	recs[7].Reason = strings.Repeat("x", audit.MaxReasonBytes)
	mustLoad(t, store, recs, audit.Counts{Persisted: 500})
	if copies := sent("COPY"); copies != 1 {
		t.Errorf("%d COPY, want 1", copies)
	}
	if total := store.Stats().Total(); total.Persisted != 500 || total.Attempts != 500 {
		t.Errorf("counted as %+v", total)
	}

	ids := make([]uuid.UUID, len(recs))
	for i := range recs {
		ids[i] = recs[i].AuditID
	}
	got, missing, err := store.GetMany(t.Context(), audit.AllTenants(), ids)
	if err != nil || len(missing) > 0 {
		t.Fatalf("GetMany() = %d missing, %v", len(missing), err)
	}
	byID := make(map[uuid.UUID]audit.Record, len(got))
	for _, rec := range got {
		byID[rec.AuditID] = rec
	}
	for i := range recs {
		stored := byID[ids[i]]
		if fields := stored.DiffersIn(recs[i]); len(fields) > 0 {
			t.Errorf("record %d differs in %v", i, fields)
		}
		if stored.Origin != recs[i].Origin {
			t.Errorf("record %d has origin %+v, want %+v", i, stored.Origin, recs[i].Origin)
		}
		if i > 0 && stored.Seq <= byID[ids[i-1]].Seq {
			t.Errorf("record %d has seq %d, not above the one before", i, stored.Seq)
		}
	}
}

func fastJudgesEachRecord(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored, invalid, fresh := fixture.NewRecord(), fixture.NewRecord(), fixture.NewRecord()
	fixture.MustPersist(t, store, stored)
	conflicting := stored
	conflicting.Reason = "another one"
	invalid.TenantID = "\x00"
	counts, err := store.PersistManyFast(t.Context(), []audit.Record{fixture.NewRecord(), invalid, stored, conflicting, fresh, fresh, fixture.NewRecord()})
	if diff := cmp.Diff(audit.Counts{Attempts: 7, Persisted: 3, AlreadyPersisted: 2, Failed: 2}, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok || len(failed.Failures) != 2 || failed.Failures[0].Index != 1 || failed.Failures[1].Index != 3 ||
		!errors.Is(failed.Failures[0].Err, audit.ErrInvalidRecord) || !errors.Is(failed.Failures[1].Err, audit.ErrConflict) {
		t.Errorf("error %v, want 1 invalid and 3 in conflict", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

func retryCopiesOnce(t *testing.T, db frame.Database) {
	first, second := fixture.NewRecords(100), fixture.NewRecords(100)
	mustLoad(t, frame.NewStore(db), first, audit.Counts{Persisted: 100})

	store, sent := tracedStore(t, db.URL, fixture.Quiet())
	for range 3 {
		mustLoad(t, store, first, audit.Counts{AlreadyPersisted: 100})
	}
	if copies := sent("COPY"); copies != 1 {
		t.Errorf("three retries sent %d COPY, want 1", copies)
	}
	mustLoad(t, store, second, audit.Counts{Persisted: 100}) // the first new records
	mustLoad(t, store, fixture.NewRecords(100), audit.Counts{Persisted: 100})
	// The store looks up stored ids, so it inserts only the first new records.
	if copies, inserts := sent("COPY"), sent("PersistAuditRecords"); copies != 2 || inserts != 1 {
		t.Errorf("%d COPY and %d INSERT, want COPY again where ids are new: 2 and 1", copies, inserts)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 300 {
		t.Errorf("%d rows, want 300", n)
	}
}

// To an auditor a hole in seq looks like a deletion. Only the COPY that finds the first taken id
// uses up numbers.
func retryUsesNoSeq(t *testing.T, db frame.Database) {
	recs := fixture.NewRecords(200)
	store := frame.NewStore(db)
	mustLoad(t, store, recs, audit.Counts{Persisted: 200})
	mustLoad(t, store, recs, audit.Counts{AlreadyPersisted: 200})
	last := func() int { return int(fixture.MustPersist(t, frame.NewStore(db), fixture.NewRecord()).Seq) }
	before := last()
	for range 3 {
		mustLoad(t, store, recs, audit.Counts{AlreadyPersisted: 200})
	}
	mixed := append(fixture.NewRecords(10), recs...)
	mustLoad(t, store, mixed, audit.Counts{Persisted: 10, AlreadyPersisted: 200})
	if used := last() - before; used != 11 {
		t.Errorf("10 new records and 800 known ones used up %d numbers, want 11", used)
	}
}

func obeysRowLevelSecurity(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	fixture.MustExec(t, db.Pool, "CREATE POLICY ours ON coordination_audit_records USING (true) WITH CHECK (tenant_id = 'acme')")
	pool, _ := frame.PoolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records")
	store := coordaudit.New(pool, fixture.Quiet())
	recs := fixture.NewRecords(100)
	mustLoad(t, store, recs, audit.Counts{Persisted: 100})
	mustLoad(t, store, recs, audit.Counts{AlreadyPersisted: 100})

	foreign := fixture.NewRecords(2)
	foreign[1].TenantID = "other"
	if counts, err := store.PersistManyFast(t.Context(), foreign); !errors.Is(err, audit.ErrRefused) || counts.Failed != 2 {
		t.Errorf("PersistManyFast() = %+v, %v; want the policy's refusal", counts, err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
}

func retryEndsDoubt(t *testing.T, db frame.Database) {
	tests := map[string]struct {
		cut  func(*faultproxy.Proxy)
		want audit.Counts
	}{
		"before COPY arrives":               {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.Query) }, audit.Counts{Persisted: 50}},
		"amid the rows":                     {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.CopyData) }, audit.Counts{Persisted: 50}},
		"before COPY ends":                  {func(p *faultproxy.Proxy) { p.CutAtClient(faultproxy.CopyDone) }, audit.Counts{Persisted: 50}},
		"after the commit, with the answer": {func(p *faultproxy.Proxy) { p.CutAtServer(faultproxy.ReadyForQuery) }, audit.Counts{AlreadyPersisted: 50}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			proxy := faultproxy.New(t, db.URL)
			config := fixture.Quiet()
			config.Timeout = 30 * time.Second
			store := fixture.OpenStore(t, proxy.URL(), config)
			fixture.MustPersist(t, store, fixture.NewRecord())
			test.cut(proxy)
			recs := fixture.NewRecords(50)
			mustLoad(t, store, recs, test.want)

			config.Retries = -1
			store = fixture.OpenStore(t, proxy.URL(), config)
			fixture.MustPersist(t, store, fixture.NewRecord())
			test.cut(proxy)
			more := fixture.NewRecords(50)
			counts, err := store.PersistManyFast(t.Context(), more)
			// A client that notices the cut before it has sent the end of its rows knows that
			// nothing is stored. It must never deny a stored record.
			denied := errors.Is(err, audit.ErrUnavailable) && !errors.Is(err, audit.ErrOutcomeUnknown) && test.want.Persisted == 50
			if counts.Failed != 50 || !errors.Is(err, audit.ErrOutcomeUnknown) && !denied {
				t.Fatalf("PersistManyFast() = %+v, %v; want ErrOutcomeUnknown", counts, err)
			}
			mustLoad(t, store, more, test.want)
			if n := fixture.CountRecords(t, db.Pool); n != 102 {
				t.Errorf("%d rows, want 102", n)
			}
		})
	}
}

func endsAtTimeout(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = 300 * time.Millisecond
	store := fixture.OpenStore(t, db.URL, config)
	release := frame.LockTable(t, db)
	recs := fixture.NewRecords(10)
	counts, err := store.PersistManyFast(t.Context(), recs)
	if !errors.Is(err, db.Stopped()) || errors.Is(err, audit.ErrOutcomeUnknown) != db.Distributed || counts.Failed != 10 {
		t.Errorf("PersistManyFast() = %+v, %v; want %v", counts, err, db.Stopped())
	}
	release()
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none: it was cancelled", n)
	}
}

func fastReplayWritesNothing(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	mustLoad(t, store.Replaying(), fixture.NewRecords(3), audit.Counts{Skipped: 3})
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}
