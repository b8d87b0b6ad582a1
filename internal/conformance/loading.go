package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
)

func loads() []promise {
	return []promise{
		{"LoadStoresABatchInOrderAsItIs", loadStoresABatchInOrderAsItIs},
		{"LoadTakesEachRecordByItself", loadTakesEachRecordByItself},
		{"ALoadThatIsRepeatedStoresNothingTwiceAndCopiesOnce", aLoadThatIsRepeatedStoresNothingTwiceAndCopiesOnce},
		{"LoadWorksUnderRowLevelSecurity", loadWorksUnderRowLevelSecurity},
		{"LoadSettlesACopyInDoubt", loadSettlesACopyInDoubt},
		{"LoadEndsWithinItsTimeout", loadEndsWithinItsTimeout},
		{"LoadWritesNothingInAReplay", loadWritesNothingInAReplay},
	}
}

func mustLoad(t *testing.T, store *coordaudit.Store, recs []audit.Record, want audit.Counts) {
	t.Helper()
	want.Attempts = int64(len(recs))
	counts, err := store.Load(t.Context(), recs)
	if diff := cmp.Diff(want, counts); err != nil || diff != "" {
		t.Fatalf("Load() = %v (-want +got):\n%s", err, diff)
	}
}

// tracedStore tells which statements its connections have sent.
func tracedStore(t *testing.T, url string, config coordaudit.Config) (store *coordaudit.Store, sent func(statement string) int) {
	t.Helper()
	var log logged
	config.Tracer = coordaudit.NewTraceLogger(log.logger())
	return openStore(t, url, config), func(statement string) (n int) {
		for _, event := range log.events(t, "audit_statement") {
			if event["statement"] == statement {
				n++
			}
		}
		return n
	}
}

// The records take every column to its bounds, and more than one of COPY's messages.
func loadStoresABatchInOrderAsItIs(t *testing.T, db Database) {
	store, sent := tracedStore(t, db.URL, quiet())
	recs := newRecords(500)
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
		if i > 0 && stored.Seq <= byID[ids[i-1]].Seq {
			t.Errorf("record %d has seq %d, not above the one before", i, stored.Seq)
		}
	}
}

func loadTakesEachRecordByItself(t *testing.T, db Database) {
	store := newStore(db)
	stored, invalid, fresh := newRecord(), newRecord(), newRecord()
	mustPersist(t, store, stored)
	conflicting := stored
	conflicting.Reason = "another one"
	invalid.TenantID = "\x00"
	counts, err := store.Load(t.Context(), []audit.Record{newRecord(), invalid, stored, conflicting, fresh, fresh, newRecord()})
	if diff := cmp.Diff(audit.Counts{Attempts: 7, Persisted: 3, AlreadyPersisted: 2, Failed: 2}, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok || len(failed.Failures) != 2 || failed.Failures[0].Index != 1 || failed.Failures[1].Index != 3 ||
		!errors.Is(failed.Failures[0].Err, audit.ErrInvalidRecord) || !errors.Is(failed.Failures[1].Err, audit.ErrConflict) {
		t.Errorf("error %v, want 1 invalid and 3 in conflict", err)
	}
	if n := countRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

func aLoadThatIsRepeatedStoresNothingTwiceAndCopiesOnce(t *testing.T, db Database) {
	first, second := newRecords(100), newRecords(100)
	mustLoad(t, newStore(db), first, audit.Counts{Persisted: 100})

	store, sent := tracedStore(t, db.URL, quiet())
	for range 3 {
		mustLoad(t, store, first, audit.Counts{AlreadyPersisted: 100})
	}
	if copies := sent("COPY"); copies != 1 {
		t.Errorf("a repeated load sent %d COPY, want 1", copies)
	}
	mustLoad(t, store, second, audit.Counts{Persisted: 100}) // the first new ones
	mustLoad(t, store, newRecords(100), audit.Counts{Persisted: 100})
	if copies, inserts := sent("COPY"), sent("PersistAuditRecords"); copies != 2 || inserts != 4 {
		t.Errorf("%d COPY and %d INSERT, want COPY again where ids are new: 2 and 4", copies, inserts)
	}
	if n := countRecords(t, db.Pool); n != 300 {
		t.Errorf("%d rows, want 300", n)
	}
}

func loadWorksUnderRowLevelSecurity(t *testing.T, db Database) {
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	mustExec(t, db.Pool, "CREATE POLICY ours ON coordination_audit_records USING (true) WITH CHECK (tenant_id = 'acme')")
	pool, _ := poolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records")
	store := coordaudit.New(pool, quiet())
	recs := newRecords(100)
	mustLoad(t, store, recs, audit.Counts{Persisted: 100})
	mustLoad(t, store, recs, audit.Counts{AlreadyPersisted: 100})

	foreign := newRecords(2)
	foreign[1].TenantID = "other"
	if counts, err := store.Load(t.Context(), foreign); !errors.Is(err, audit.ErrRefused) || counts.Failed != 2 {
		t.Errorf("Load() = %+v, %v; want the policy's refusal", counts, err)
	}
	if n := countRecords(t, db.Pool); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
}

func loadSettlesACopyInDoubt(t *testing.T, db Database) {
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
			db := db.another(t)
			proxy := faultproxy.New(t, db.URL)
			config := quiet()
			config.Timeout = 30 * time.Second
			store := openStore(t, proxy.URL(), config)
			mustPersist(t, store, newRecord())
			test.cut(proxy)
			recs := newRecords(50)
			mustLoad(t, store, recs, test.want)

			config.Retries = -1
			store = openStore(t, proxy.URL(), config)
			mustPersist(t, store, newRecord())
			test.cut(proxy)
			more := newRecords(50)
			counts, err := store.Load(t.Context(), more)
			// Where the client learns of the cut before it has sent the end of its rows, it
			// knows that nothing is stored. What is stored may never be denied.
			denied := errors.Is(err, audit.ErrUnavailable) && !errors.Is(err, audit.ErrOutcomeUnknown) && test.want.Persisted == 50
			if counts.Failed != 50 || !errors.Is(err, audit.ErrOutcomeUnknown) && !denied {
				t.Fatalf("Load() = %+v, %v; want ErrOutcomeUnknown", counts, err)
			}
			mustLoad(t, store, more, test.want)
			if n := countRecords(t, db.Pool); n != 102 {
				t.Errorf("%d rows, want 102", n)
			}
		})
	}
}

func loadEndsWithinItsTimeout(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = 300 * time.Millisecond
	store := openStore(t, db.URL, config)
	release := lockTable(t, db)
	recs := newRecords(10)
	counts, err := store.Load(t.Context(), recs)
	if !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrOutcomeUnknown) || counts.Failed != 10 {
		t.Errorf("Load() = %+v, %v; want ErrUnavailable", counts, err)
	}
	release()
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none: it was cancelled", n)
	}
}

func loadWritesNothingInAReplay(t *testing.T, db Database) {
	store := newStore(db)
	mustLoad(t, store.Replaying(), newRecords(3), audit.Counts{Skipped: 3})
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}
