package conformance

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func idempotency() []promise {
	return []promise{
		{"PersistingTwiceIsOnceWithTheFirstReceipt", persistingTwiceIsOnceWithTheFirstReceipt},
		{"AnotherContentUnderTheIDIsRefusedByTheFieldsNames", anotherContentUnderTheIDIsRefusedByTheFieldsNames},
		{"ADuplicateIsToldFromAClash", aDuplicateIsToldFromAClash},
		{"TheSameIDsFromManyGoroutinesAreStoredOnce", theSameIDsFromManyGoroutinesAreStoredOnce},
		{"OverlappingBatchesStoreEachRecordOnce", overlappingBatchesStoreEachRecordOnce},
		{"EachContentFieldIsComparedAndNoOther", eachContentFieldIsComparedAndNoOther},
		{"TheSameRecordIsTheSameInEveryCall", theSameRecordIsTheSameInEveryCall},
	}
}

func persistingTwiceIsOnceWithTheFirstReceipt(t *testing.T, db Database) {
	store := newStore(db)
	rec := newRecord()
	first := mustPersist(t, store, rec)
	rec.DecisionTimestamp = rec.DecisionTimestamp.Add(999 * time.Nanosecond).In(time.FixedZone("", -3600))
	second := mustPersist(t, store, rec)

	want := first
	want.Outcome = audit.AlreadyPersisted
	if diff := cmp.Diff(want, second); diff != "" || first.Outcome != audit.Persisted {
		t.Errorf("first outcome %s, second receipt (-want +got):\n%s", first.Outcome, diff)
	}
	if n := countRecords(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func anotherContentUnderTheIDIsRefusedByTheFieldsNames(t *testing.T, db Database) {
	store := newStore(db)
	rec := newRecord()
	mustPersist(t, store, rec)

	other := rec
	other.Reason, other.TenantID, other.ActiveEnvelopesCount = "secret reason", "secret tenant", 5
	receipt, err := store.Persist(t.Context(), other)
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
	if receipt != (audit.Receipt{AuditID: rec.AuditID}) {
		t.Errorf("receipt %+v, want the id alone", receipt)
	}
	stored, err := store.Get(t.Context(), audit.Tenant("acme"), rec.AuditID)
	if err != nil || len(stored.DiffersIn(rec)) > 0 {
		t.Errorf("the stored record changed: %+v, %v", stored, err)
	}
}

// "duplicate audit_id": the predecessor said False to both; a retry after a lost
// acknowledgement could not be told from a clash.
func aDuplicateIsToldFromAClash(t *testing.T, db Database) {
	store := newStore(db)
	line, id := predecessorsCall()
	rec, _, err := audit.ParseRecord([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	mustPersist(t, store, rec)
	if receipt := mustPersist(t, store, rec); receipt.Outcome != audit.AlreadyPersisted || receipt.AuditID != id {
		t.Errorf("the same again: %+v, want AlreadyPersisted", receipt)
	}
	rec.Reason = "another"
	if _, err := store.Persist(t.Context(), rec); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("another content: %v, want ErrConflict", err)
	}
}

func theSameIDsFromManyGoroutinesAreStoredOnce(t *testing.T, db Database) {
	const goroutines, ids = 32, 1000
	config := quiet()
	config.Timeout = time.Minute // contention on two slow cores is not what is tested
	store := openStore(t, withSetting(db.URL, "pool_max_conns=16"), config)
	recs := newRecords(ids)

	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range recs {
				// Each begins elsewhere, so that they meet at every id.
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
	if n := countRecords(t, db.Pool); n != ids {
		t.Errorf("%d rows, want %d", n, ids)
	}
}

// Batches that meet in different orders deadlock; the server ends one of them,
// and its retry finds the other's rows.
func overlappingBatchesStoreEachRecordOnce(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = time.Minute
	config.Retries = 10
	store := openStore(t, withSetting(db.URL, "pool_max_conns=8"), config)
	forward := newRecords(200)
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

func eachContentFieldIsComparedAndNoOther(t *testing.T, db Database) {
	store := newStore(db)
	stored := newRecord()
	stored.Decision, stored.PreemptingEnvelopeID, stored.ConflictingEnvelopeID = audit.Preempted, "a", "b"
	mustPersist(t, store, stored)
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
		tx := callersTx(t, db.Pool)
		for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
			rec := stored
			change(&rec)
			failed := c.wantFailure(t.Context(), t, rec, audit.ErrConflict)
			conflict, ok := errors.AsType[*audit.ConflictError](failed)
			if !ok || !slices.Contains(conflict.Fields, field) || (field != "decision" && len(conflict.Fields) != 1) {
				t.Errorf("%s() = %v, want a conflict in %s", c.name, failed, field)
			}
		}
		commit(t, tx)
	}
	stored.Seq, stored.CreatedAt = 7, time.Now()
	for _, c := range ownCalls(store) {
		c.wantOutcome(t, stored, audit.AlreadyPersisted)
	}
}

// The class left out is UNKNOWN, nanoseconds are cut off, the zone is no content.
func theSameRecordIsTheSameInEveryCall(t *testing.T, db Database) {
	store := newStore(db)
	stored := newRecord()
	stored.EnvelopeClass = audit.Unknown
	first := mustPersist(t, store, stored)
	again := stored
	again.EnvelopeClass = ""
	again.DecisionTimestamp = stored.DecisionTimestamp.Add(999 * time.Nanosecond).In(time.FixedZone("", 5*3600+1800))
	first.Outcome = audit.AlreadyPersisted
	tx := callersTx(t, db.Pool)
	for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
		receipt, err := c.persist(t.Context(), again)
		if diff := cmp.Diff(first, receipt); diff != "" || err != nil {
			t.Errorf("%s(): error %v, receipt (-want +got):\n%s", c.name, err, diff)
		}
	}
	commit(t, tx)
}
