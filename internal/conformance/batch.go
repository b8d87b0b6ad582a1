package conformance

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func batches() []promise {
	return []promise{
		{"PersistManyStoresABatchInOrder", persistManyStoresABatchInOrder},
		{"PersistManyTakesEachRecordByItself", persistManyTakesEachRecordByItself},
		{"ABatchStoresTheOthersWhenATakenIDCannotBeRead", aBatchStoresTheOthersWhenATakenIDCannotBeRead},
		{"PersistManyBoundsItsBatch", persistManyBoundsItsBatch},
	}
}

func persistManyStoresABatchInOrder(t *testing.T, db Database) {
	store := newStore(db)
	recs := newRecords(1000)
	for i := range recs {
		recs[i].EnvelopeID = fmt.Sprintf(`e,"{%d}`, i)
		if i%3 == 0 {
			recs[i].Decision, recs[i].ConflictingEnvelopeID, recs[i].TenantID = audit.Rejected, `a,"b`, ""
		}
	}
	recs[1].AuditID = uuid.Nil
	receipts, err := store.PersistMany(t.Context(), recs)
	if err != nil {
		t.Fatal(err)
	}
	for i, receipt := range receipts {
		if receipt.Outcome != audit.Persisted || (i > 0 && receipt.Seq <= receipts[i-1].Seq) {
			t.Fatalf("receipt %d is %+v after seq %d", i, receipt, receipts[max(i, 1)-1].Seq)
		}
	}
	for _, i := range []int{0, 1, 2, 999} {
		got, err := store.Get(t.Context(), audit.AllTenants(), receipts[i].AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if fields := got.DiffersIn(recs[i]); len(fields) > 0 {
			t.Errorf("record %d differs in %v", i, fields)
		}
	}
	if n := countRecords(t, db.Pool); n != 1000 {
		t.Errorf("%d rows, want 1000", n)
	}
}

func persistManyTakesEachRecordByItself(t *testing.T, db Database) {
	store := newStore(db)
	stored := newRecord()
	first := mustPersist(t, store, stored)

	conflicting := stored
	conflicting.Reason = "another one"
	invalid := newRecord()
	invalid.TenantID = string(make([]byte, 3))
	fresh := newRecord()
	otherFresh := fresh
	otherFresh.Decision = audit.Rejected
	recs := []audit.Record{newRecord(), invalid, stored, conflicting, fresh, fresh, otherFresh, newRecord()}

	receipts, err := store.PersistMany(t.Context(), recs)
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok {
		t.Fatalf("error %v, want a BatchError", err)
	}
	got := map[int]error{}
	for _, failure := range failed.Failures {
		got[failure.Index] = failure.Err
	}
	if len(got) != 3 || !errors.Is(got[1], audit.ErrInvalidRecord) || !errors.Is(got[3], audit.ErrConflict) || !errors.Is(got[6], audit.ErrConflict) {
		t.Errorf("failures %v, want 1 invalid, 3 and 6 in conflict", got)
	}
	var outcomes []audit.Outcome
	for i, receipt := range receipts {
		outcomes = append(outcomes, receipt.Outcome)
		if receipt.AuditID != recs[i].AuditID {
			t.Errorf("receipt %d is for %s", i, receipt.AuditID)
		}
	}
	want := []audit.Outcome{audit.Persisted, "", audit.AlreadyPersisted, "", audit.Persisted, audit.AlreadyPersisted, "", audit.Persisted}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if receipts[2].Seq != first.Seq || receipts[5].Seq != receipts[4].Seq {
		t.Error("a record that was there before must have the first one's receipt")
	}
	if n := countRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
	counts := audit.Counts{Attempts: 9, Persisted: 4, AlreadyPersisted: 2, Failed: 3}
	if diff := cmp.Diff(counts, store.Stats().Total()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func persistManyBoundsItsBatch(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = time.Minute // the bound here is one of size
	store := coordaudit.New(db.Pool, config)
	if receipts, err := store.PersistMany(t.Context(), nil); len(receipts) != 0 || err != nil {
		t.Errorf("an empty batch: %v, %v; want nothing", receipts, err)
	}
	if _, err := store.PersistMany(t.Context(), newRecords(coordaudit.MaxBatch+1)); !errors.Is(err, audit.ErrBatchTooLarge) {
		t.Errorf("a batch beyond MaxBatch: %v, want ErrBatchTooLarge", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	if _, err := store.PersistMany(t.Context(), newRecords(coordaudit.MaxBatch)); err != nil {
		t.Errorf("a batch of MaxBatch: %v", err)
	}
}
