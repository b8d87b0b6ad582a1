package conformance

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/load"
)

func recorders() []promise {
	return []promise{
		{"ARecordedRecordIsStoredOnReturn", aRecordedRecordIsStoredOnReturn},
		{"WaitingCallersShareACommit", waitingCallersShareACommit},
		{"AnEnqueuedRecordIsStoredInItsOrder", anEnqueuedRecordIsStoredInItsOrder},
		{"EmitWaitsForTheClassesItIsToldTo", emitWaitsForTheClassesItIsToldTo},
		{"EmitDoesNotPanic", emitDoesNotPanic},
		{"ARecorderRefusesAnInvalidRecordAtTheDoor", aRecorderRefusesAnInvalidRecordAtTheDoor},
		{"ARecorderOfAReplaySkips", aRecorderOfAReplaySkips},
		{"AClosedRecorderRefusesEveryWayIn", aClosedRecorderRefusesEveryWayIn},
		{"ARecorderNeedsItsDirectoryAndItsPool", aRecorderNeedsItsDirectoryAndItsPool},
		{"TwoRecordersDoNotShareADirectory", twoRecordersDoNotShareADirectory},
		{"TheObserverSeesEachRecordedRecordOnce", theObserverSeesEachRecordedRecordOnce},
	}
}

func aRecordedRecordIsStoredOnReturn(t *testing.T, db Database) {
	store := newStore(db)
	recorder := newRecorder(t, store, coordaudit.RecorderConfig{})
	rec := newRecord()
	receipt, err := recorder.Record(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Receipt{AuditID: rec.AuditID, Outcome: audit.Persisted, Seq: got.Seq, CreatedAt: got.CreatedAt}
	if receipt != want {
		t.Errorf("receipt %+v, want %+v", receipt, want)
	}
	want.Outcome = audit.AlreadyPersisted
	if again, err := recorder.Record(t.Context(), rec); err != nil || again != want {
		t.Errorf("again: %+v, %v; want %+v", again, err, want)
	}
	rec.Reason = "another one"
	if _, err := recorder.Record(t.Context(), rec); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("another content: %v, want ErrConflict", err)
	}
	if made, err := recorder.Record(t.Context(), withoutID(newRecord())); err != nil || made.AuditID == uuid.Nil {
		t.Errorf("without an id: %+v, %v; want one made", made, err)
	}
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 4, Persisted: 2, AlreadyPersisted: 1, Rejected: 1})
}

func withoutID(rec audit.Record) audit.Record {
	rec.AuditID = uuid.Nil
	return rec
}

func waitingCallersShareACommit(t *testing.T, db Database) {
	recorder := newRecorder(t, newStore(db), coordaudit.RecorderConfig{WaitTimeout: time.Minute})
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			for range 20 {
				if _, err := recorder.Record(t.Context(), newRecord()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 640, Persisted: 640})
	if n := countRecords(t, db.Pool); n != 640 {
		t.Errorf("%d rows, want 640", n)
	}
	if stats := recorder.Stats(); stats.BatchedRecords != 640 || stats.Batches > 320 {
		t.Errorf("%d records in %d batches, want 640 in far fewer", stats.BatchedRecords, stats.Batches)
	}
}

func anEnqueuedRecordIsStoredInItsOrder(t *testing.T, db Database) {
	recorder := newRecorder(t, newStore(db), coordaudit.RecorderConfig{MaxBatch: 7})
	recs := newRecords(100)
	for _, rec := range recs {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 100, Persisted: 100})
	rows, err := db.Pool.Query(t.Context(), "SELECT audit_id FROM coordination_audit_records ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for i := 0; rows.Next(); i++ {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		if id != recs[i].AuditID {
			t.Fatalf("row %d is not the record that was handed in at that place", i)
		}
	}
	if stats := recorder.Stats(); stats.QueueBytes != 0 || stats.OldestAge != 0 || !stats.Available {
		t.Errorf("an empty queue's gauges: %+v", stats)
	}
}

func emitWaitsForTheClassesItIsToldTo(t *testing.T, db Database) {
	config := quiet()
	config.Timeout = time.Second
	store := coordaudit.New(db.Pool, config)
	release := lockTable(t, db)
	for _, c := range []struct {
		waitFor []audit.EnvelopeClass
		waits   bool
		class   audit.EnvelopeClass
	}{
		{nil, true, audit.Safety},
		{nil, false, audit.Reliability},
		{nil, false, ""},
		{[]audit.EnvelopeClass{audit.Unknown}, true, ""},
		{[]audit.EnvelopeClass{}, false, audit.Safety},
	} {
		recorder := newRecorder(t, store, coordaudit.RecorderConfig{WaitFor: c.waitFor, RetryBudget: time.Minute})
		rec := newRecord()
		rec.EnvelopeClass = c.class
		start := time.Now()
		if !recorder.Emit(t.Context(), rec) {
			t.Errorf("%q with WaitFor %v: refused", c.class, c.waitFor)
		}
		if waited := time.Since(start) >= time.Second; waited != c.waits {
			t.Errorf("%q with WaitFor %v: waited %v, want %v", c.class, c.waitFor, waited, c.waits)
		}
		if counts := recorder.Stats().ByClass[rec.EnvelopeClass.OrUnknown()]; counts.Accepted != 1 {
			t.Errorf("%q with WaitFor %v: %+v, want one accepted", c.class, c.waitFor, counts)
		}
	}
	release()
	eventuallyWithin(t, time.Minute, func() bool { return countRecords(t, db.Pool) == 5 })
}

// panicking is an observer with a fault of its own.
type panicking struct{}

func (panicking) ObservePersist(context.Context, audit.Observation) { panic("observer") }

func emitDoesNotPanic(t *testing.T, db Database) {
	config := quiet()
	config.Observer = panicking{}
	recorder := newRecorder(t, coordaudit.New(db.Pool, config), coordaudit.RecorderConfig{})
	if !recorder.Emit(t.Context(), newRecord()) {
		t.Error("a record was refused because its observer panics")
	}
	if recorder.Emit(t.Context(), audit.Record{}) {
		t.Error("an invalid record was accepted")
	}
	closeRecorder(t, recorder)
	if n := countRecords(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func aRecorderRefusesAnInvalidRecordAtTheDoor(t *testing.T, db Database) {
	recorder := newRecorder(t, newStore(db), coordaudit.RecorderConfig{})
	rec := newRecord()
	rec.Reason = " "
	_, err := recorder.Record(t.Context(), rec)
	for _, err := range []error{err, recorder.Enqueue(rec)} {
		failed, ok := errors.AsType[*audit.PersistError](err)
		if !ok || failed.AuditID != rec.AuditID || !errors.Is(err, audit.ErrInvalidRecord) {
			t.Errorf("%v, want ErrInvalidRecord in a PersistError of this record", err)
		}
	}
	if recorder.Emit(t.Context(), rec) {
		t.Error("Emit accepted it")
	}
	requireTotal(t, recorder, audit.RecorderCounts{})
	if refused := recorder.Stats().Refused; refused != 3 {
		t.Errorf("%d refused, want 3", refused)
	}
}

func aRecorderOfAReplaySkips(t *testing.T, db Database) {
	dir := filepath.Join(t.TempDir(), "none")
	recorder := newRecorder(t, newStore(db).Replaying(), coordaudit.RecorderConfig{DeadLetterDir: dir})
	receipt, err := recorder.Record(t.Context(), newRecord())
	if err != nil || receipt.Outcome != audit.Skipped || receipt.AuditID == uuid.Nil {
		t.Errorf("%+v, %v; want skipped", receipt, err)
	}
	if err := recorder.Enqueue(newRecord()); err != nil {
		t.Error(err)
	}
	if !recorder.Emit(t.Context(), newRecord()) || recorder.Emit(t.Context(), audit.Record{}) {
		t.Error("Emit must validate in a replay and accept what is valid")
	}
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 3, Skipped: 3})
	closeRecorder(t, recorder)
	if err := recorder.Enqueue(newRecord()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	if found, err := filepath.Glob(dir + "*"); err != nil || len(found) != 0 {
		t.Errorf("a replay made %v, %v", found, err)
	}
}

func aClosedRecorderRefusesEveryWayIn(t *testing.T, db Database) {
	recorder := newRecorder(t, newStore(db), coordaudit.RecorderConfig{})
	for range 50 {
		if err := recorder.Enqueue(newRecord()); err != nil {
			t.Fatal(err)
		}
	}
	closeRecorder(t, recorder)
	if n := countRecords(t, db.Pool); n != 50 {
		t.Errorf("%d rows after Close, want all 50", n)
	}
	if _, err := recorder.Record(t.Context(), newRecord()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Record: %v, want ErrClosed", err)
	}
	if err := recorder.Enqueue(newRecord()); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Enqueue: %v, want ErrClosed", err)
	}
	if recorder.Emit(t.Context(), newRecord()) {
		t.Error("Emit accepted a record")
	}
	if err := recorder.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v, want nil: nothing is left", err)
	}
	closeRecorder(t, recorder)
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 50, Persisted: 50})
}

func aRecorderNeedsItsDirectoryAndItsPool(t *testing.T, db Database) {
	if _, err := newStore(db).NewRecorder(coordaudit.RecorderConfig{}); err == nil {
		t.Error("a recorder without a directory was started")
	}
	if _, err := newStore(db).NewRecorder(coordaudit.RecorderConfig{DeadLetterDir: t.TempDir(), MaxBatch: coordaudit.MaxBatch + 1}); err == nil {
		t.Error("a recorder with batches beyond MaxBatch was started")
	}
	if _, err := coordaudit.New(nil, quiet()).NewRecorder(coordaudit.RecorderConfig{DeadLetterDir: t.TempDir()}); !errors.Is(err, audit.ErrNoPool) {
		t.Errorf("without a pool: %v, want ErrNoPool", err)
	}
}

func twoRecordersDoNotShareADirectory(t *testing.T, db Database) {
	config := coordaudit.RecorderConfig{DeadLetterDir: t.TempDir()}
	first := newRecorder(t, newStore(db), config)
	if _, err := newStore(db).NewRecorder(config); !errors.Is(err, audit.ErrDirectoryInUse) {
		t.Errorf("%v, want ErrDirectoryInUse", err)
	}
	closeRecorder(t, first)
	closeRecorder(t, newRecorder(t, newStore(db), config))
}

// flushed is an observer of a recorder's batches, too.
type flushed struct {
	observed
	records atomic.Int64
}

func (f *flushed) ObserveFlush(_ context.Context, flush audit.Flush) {
	if flush.Err == nil {
		f.records.Add(int64(flush.Records))
	}
}

func theObserverSeesEachRecordedRecordOnce(t *testing.T, db Database) {
	var seen flushed
	config := quiet()
	config.Observer = &seen
	recorder := newRecorder(t, coordaudit.New(db.Pool, config), coordaudit.RecorderConfig{WaitTimeout: time.Minute})
	producers := load.Start(t, recorder, load.Config{Producers: 4, Every: time.Millisecond})
	eventuallyWithin(t, time.Minute, func() bool { return producers.Offered() > 100 })
	producers.Stop()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, t.TempDir())
	if recorder.Enqueue(audit.Record{}) == nil {
		t.Error("an invalid record was accepted")
	}

	seen.mu.Lock()
	defer seen.mu.Unlock()
	ids := make([]string, 0, len(seen.observations))
	failed := 0
	for _, o := range seen.observations {
		ids = append(ids, o.AuditID.String())
		if o.Err != nil {
			failed++
		}
	}
	slices.Sort(ids)
	if distinct := len(slices.Compact(ids)); distinct != len(seen.observations) || failed != 1 {
		t.Errorf("%d observations of %d records, %d failed; want one each and 1 failed", len(seen.observations), distinct, failed)
	}
	if want := int(producers.Offered()); len(seen.observations) != want+1 || seen.records.Load() != int64(want) {
		t.Errorf("%d observations and %d flushed, want %d and %d", len(seen.observations), seen.records.Load(), want+1, want)
	}
}
