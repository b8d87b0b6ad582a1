package persisting

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func manyStoresInOrder(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := fixture.NewRecords(1000)
	for i := range recs {
		recs[i].EnvelopeID = fmt.Sprintf(`e,"{%d}`, i)
		if i%3 == 0 {
			recs[i].Decision, recs[i].ConflictingEnvelopeID, recs[i].TenantID = audit.Rejected, `a,"b`, ""
		}
	}
	recs[1].AuditID = uuid.Nil
	results, err := store.PersistMany(t.Context(), recs)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		if result.Outcome != audit.Persisted || (i > 0 && result.Seq <= results[i-1].Seq) {
			t.Fatalf("result %d is %+v after seq %d", i, result, results[max(i, 1)-1].Seq)
		}
	}
	for _, i := range []int{0, 1, 2, 999} {
		got, err := store.Get(t.Context(), audit.AllTenants(), results[i].AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if fields := got.DiffersIn(recs[i]); len(fields) > 0 {
			t.Errorf("record %d differs in %v", i, fields)
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 1000 {
		t.Errorf("%d rows, want 1000", n)
	}
}

func manyJudgesEachRecord(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := fixture.NewRecord()
	first := fixture.MustPersist(t, store, stored)

	conflicting := stored
	conflicting.Reason = "another one"
	invalid := fixture.NewRecord()
	invalid.TenantID = string(make([]byte, 3))
	fresh := fixture.NewRecord()
	otherFresh := fresh
	otherFresh.Decision = audit.Rejected
	recs := []audit.Record{fixture.NewRecord(), invalid, stored, conflicting, fresh, fresh, otherFresh, fixture.NewRecord()}

	results, err := store.PersistMany(t.Context(), recs)
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
	for i, result := range results {
		outcomes = append(outcomes, result.Outcome)
		if result.AuditID != recs[i].AuditID {
			t.Errorf("result %d is for %s", i, result.AuditID)
		}
	}
	want := []audit.Outcome{audit.Persisted, "", audit.AlreadyPersisted, "", audit.Persisted, audit.AlreadyPersisted, "", audit.Persisted}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if results[2].Seq != first.Seq || results[5].Seq != results[4].Seq {
		t.Error("a record that was already stored must get the first result")
	}
	if n := fixture.CountRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
	counts := audit.Counts{Attempts: 9, Persisted: 4, AlreadyPersisted: 2, Failed: 3}
	if diff := cmp.Diff(counts, store.Stats().Total()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func boundsBatch(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = time.Minute // the limit here is the size
	store := coordaudit.New(db.Pool, config)
	if results, err := store.PersistMany(t.Context(), nil); len(results) != 0 || err != nil {
		t.Errorf("an empty batch: %v, %v; want nothing", results, err)
	}
	if _, err := store.PersistMany(t.Context(), fixture.NewRecords(coordaudit.MaxBatch+1)); !errors.Is(err, audit.ErrBatchTooLarge) {
		t.Errorf("a batch beyond MaxBatch: %v, want ErrBatchTooLarge", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	if _, err := store.PersistMany(t.Context(), fixture.NewRecords(coordaudit.MaxBatch)); err != nil {
		t.Errorf("a batch of MaxBatch: %v", err)
	}
}
