package persisting

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func retryReturnsFirstResult(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewRecord()
	first := fixture.MustPersist(t, store, rec)
	rec.DecisionTimestamp = rec.DecisionTimestamp.Add(999 * time.Nanosecond).In(time.FixedZone("", -3600))
	second := fixture.MustPersist(t, store, rec)

	want := first
	want.Outcome = audit.AlreadyPersisted
	if diff := cmp.Diff(want, second); diff != "" || first.Outcome != audit.Persisted {
		t.Errorf("first outcome %s, second result (-want +got):\n%s", first.Outcome, diff)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func conflictNamesFields(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewRecord()
	fixture.MustPersist(t, store, rec)

	other := rec
	other.Reason, other.TenantID, other.ActiveEnvelopesCount = "secret reason", "secret tenant", 5
	result, err := store.Persist(t.Context(), other)
	conflict, ok := errors.AsType[*audit.ConflictError](err)
	if !ok || !errors.Is(err, audit.ErrConflict) {
		t.Fatalf("error %v, want a ConflictError", err)
	}
	if diff := cmp.Diff([]string{"reason", "active_envelopes_count", "tenant_id"}, conflict.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), rec.AuditID.String()) {
		t.Errorf("the error must name the id and no values: %v", err)
	}
	if result != (audit.Result{AuditID: rec.AuditID}) {
		t.Errorf("result %+v, want the id alone", result)
	}
	stored, err := store.Get(t.Context(), audit.Tenant("acme"), rec.AuditID)
	if err != nil || len(stored.DiffersIn(rec)) > 0 {
		t.Errorf("the stored record changed: %+v, %v", stored, err)
	}
}

// "duplicate audit_id": the predecessor returned False for both, so a retry after a lost
// acknowledgement looked like a conflict.
func duplicateIsNoConflict(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	line, id := predecessorsCall()
	rec, _, err := audit.ParseRecord([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	fixture.MustPersist(t, store, rec)
	if result := fixture.MustPersist(t, store, rec); result.Outcome != audit.AlreadyPersisted || result.AuditID != id {
		t.Errorf("the same again: %+v, want AlreadyPersisted", result)
	}
	rec.Reason = "another"
	if _, err := store.Persist(t.Context(), rec); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("another content: %v, want ErrConflict", err)
	}
}

func concurrentCallsStoreOnce(t *testing.T, db frame.Database) {
	const goroutines, ids = 32, 1000
	config := fixture.Quiet()
	config.Timeout = time.Minute // contention on two slow cores is not tested here
	store := fixture.OpenStore(t, fixture.WithSetting(db.URL, "pool_max_conns=16"), config)
	recs := fixture.NewRecords(ids)

	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range recs {
				// Each goroutine starts at another id, so that they meet at every id.
				rec := recs[(i+g*ids/goroutines)%ids]
				if _, err := store.Persist(t.Context(), rec); err != nil {
					t.Errorf("Persist() = %v", err)
				}
			}
		})
	}
	all.Wait()
	want := audit.Counts{Attempts: goroutines * ids, Persisted: ids, AlreadyPersisted: (goroutines - 1) * ids}
	if got := store.Stats().Total(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if n := fixture.CountRecords(t, db.Pool); n != ids {
		t.Errorf("%d rows, want %d", n, ids)
	}
}

// Batches in different orders deadlock. The server ends one of them, and its retry finds the rows
// of the other.
func overlappingBatchesStoreOnce(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = time.Minute
	config.Retries = 10
	store := fixture.OpenStore(t, fixture.WithSetting(db.URL, "pool_max_conns=8"), config)
	forward := fixture.NewRecords(200)
	backward := make([]audit.Record, len(forward))
	for i, rec := range forward {
		backward[len(forward)-1-i] = rec
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			if _, err := store.PersistMany(t.Context(), [][]audit.Record{forward, backward}[g%2]); err != nil {
				t.Errorf("PersistMany() = %v", err)
			}
		})
	}
	all.Wait()
	want := audit.Counts{Attempts: 1600, Persisted: 200, AlreadyPersisted: 1400}
	if got := store.Stats().Total(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func comparesContentOnly(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := fixture.NewRecord()
	stored.Decision, stored.PreemptingEnvelopeID, stored.ConflictingEnvelopeID = audit.Preempted, "a", "b"
	fixture.MustPersist(t, store, stored)
	changes := map[string]func(*audit.Record){
		"envelope_id":             func(r *audit.Record) { r.EnvelopeID = "other" },
		"envelope_class":          func(r *audit.Record) { r.EnvelopeClass = "" },
		"decision":                func(r *audit.Record) { r.Decision, r.PreemptingEnvelopeID = audit.Rejected, "" },
		"reason":                  func(r *audit.Record) { r.Reason += " " },
		"decision_timestamp":      func(r *audit.Record) { r.DecisionTimestamp = r.DecisionTimestamp.Add(time.Microsecond) },
		"conflicting_envelope_id": func(r *audit.Record) { r.ConflictingEnvelopeID = "" },
		"preempting_envelope_id":  func(r *audit.Record) { r.PreemptingEnvelopeID = "other" },
		"active_envelopes_count":  func(r *audit.Record) { r.ActiveEnvelopesCount++ },
		"tenant_id":               func(r *audit.Record) { r.TenantID = "" },
	}
	for field, change := range changes {
		tx := frame.CallersTx(t, db.Pool)
		for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
			rec := stored
			change(&rec)
			failed := c.WantFailure(t.Context(), t, rec, audit.ErrConflict)
			conflict, ok := errors.AsType[*audit.ConflictError](failed)
			if !ok || !slices.Contains(conflict.Fields, field) || (field != "decision" && len(conflict.Fields) != 1) {
				t.Errorf("%s() = %v, want a conflict in %s", c.Name, failed, field)
			}
		}
		frame.Commit(t, tx)
	}
	stored.Seq, stored.CreatedAt = 7, time.Now()
	for _, c := range frame.OwnCalls(store) {
		c.WantOutcome(t, stored, audit.AlreadyPersisted)
	}
}

// A missing class is UNKNOWN, nanoseconds are cut off, and the time zone is not content.
func callsAgree(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := fixture.NewRecord()
	stored.EnvelopeClass = audit.Unknown
	first := fixture.MustPersist(t, store, stored)
	again := stored
	again.EnvelopeClass = ""
	again.DecisionTimestamp = stored.DecisionTimestamp.Add(999 * time.Nanosecond).In(time.FixedZone("", 5*3600+1800))
	first.Outcome = audit.AlreadyPersisted
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		result, err := c.Persist(t.Context(), again)
		if diff := cmp.Diff(first, result); diff != "" || err != nil {
			t.Errorf("%s(): error %v, result (-want +got):\n%s", c.Name, err, diff)
		}
	}
	frame.Commit(t, tx)
}
