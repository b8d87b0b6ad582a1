package recorder

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
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

func recorderRecordStores(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recorder := frame.NewRecorder(t, store, coordaudit.RecorderConfig{})
	rec := fixture.NewRecord()
	result, err := recorder.Record(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Result{AuditID: rec.AuditID, Outcome: audit.Persisted, Seq: got.Seq, CreatedAt: got.CreatedAt}
	if result != want {
		t.Errorf("result %+v, want %+v", result, want)
	}
	want.Outcome = audit.AlreadyPersisted
	if again, err := recorder.Record(t.Context(), rec); err != nil || again != want {
		t.Errorf("again: %+v, %v; want %+v", again, err, want)
	}
	rec.Reason = "another one"
	if _, err := recorder.Record(t.Context(), rec); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("another content: %v, want ErrConflict", err)
	}
	if made, err := recorder.Record(t.Context(), withoutID(fixture.NewRecord())); err != nil || made.AuditID == uuid.Nil {
		t.Errorf("without an id: %+v, %v; want one made", made, err)
	}
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 4, Persisted: 2, AlreadyPersisted: 1, Rejected: 1})
}

func withoutID(rec audit.Record) audit.Record {
	rec.AuditID = uuid.Nil
	return rec
}

func callersShareCommit(t *testing.T, db frame.Database) {
	recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{WaitTimeout: time.Minute})
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			for range 20 {
				if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 640, Persisted: 640})
	if n := fixture.CountRecords(t, db.Pool); n != 640 {
		t.Errorf("%d rows, want 640", n)
	}
	if stats := recorder.Stats(); stats.BatchedRecords != 640 || stats.Batches > 320 {
		t.Errorf("%d records in %d batches, want 640 in far fewer", stats.BatchedRecords, stats.Batches)
	}
}

func enqueueKeepsOrder(t *testing.T, db frame.Database) {
	recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{MaxBatch: 7})
	recs := fixture.NewRecords(100)
	for _, rec := range recs {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 100, Persisted: 100})
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
			t.Fatalf("row %d is not the record that was enqueued in that place", i)
		}
	}
	if stats := recorder.Stats(); stats.QueueBytes != 0 || stats.OldestAge != 0 || !stats.Available {
		t.Errorf("an empty queue's gauges: %+v", stats)
	}
}

func emitWaitsForClasses(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = time.Second
	store := coordaudit.New(db.Pool, config)
	release := frame.LockTable(t, db)
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
		recorder := frame.NewRecorder(t, store, coordaudit.RecorderConfig{WaitFor: c.waitFor, RetryBudget: time.Minute})
		rec := fixture.NewRecord()
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
	fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 5 })
}

// panicking is an observer that panics.
type panicking struct{}

func (panicking) ObservePersist(context.Context, audit.Observation) { panic("observer") }

func emitDoesNotPanic(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Observer = panicking{}
	recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, config), coordaudit.RecorderConfig{})
	if !recorder.Emit(t.Context(), fixture.NewRecord()) {
		t.Error("a record was refused because its observer panics")
	}
	if recorder.Emit(t.Context(), audit.Record{}) {
		t.Error("an invalid record was accepted")
	}
	frame.CloseRecorder(t, recorder)
	if n := fixture.CountRecords(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func refusesInvalidRecord(t *testing.T, db frame.Database) {
	recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{})
	rec := fixture.NewRecord()
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
	frame.RequireTotal(t, recorder, audit.RecorderCounts{})
	if refused := recorder.Stats().Refused; refused != 3 {
		t.Errorf("%d refused, want 3", refused)
	}
}

func replaySkips(t *testing.T, db frame.Database) {
	dir := filepath.Join(t.TempDir(), "none")
	recorder := frame.NewRecorder(t, frame.NewStore(db).Replaying(), coordaudit.RecorderConfig{SpoolDir: dir})
	result, err := recorder.Record(t.Context(), fixture.NewRecord())
	if err != nil || result.Outcome != audit.Skipped || result.AuditID == uuid.Nil {
		t.Errorf("%+v, %v; want skipped", result, err)
	}
	if err := recorder.Enqueue(fixture.NewRecord()); err != nil {
		t.Error(err)
	}
	if !recorder.Emit(t.Context(), fixture.NewRecord()) || recorder.Emit(t.Context(), audit.Record{}) {
		t.Error("Emit must validate in a replay and accept what is valid")
	}
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 3, Skipped: 3})
	frame.CloseRecorder(t, recorder)
	if err := recorder.Enqueue(fixture.NewRecord()); !frame.IsClosed(err, "the recorder") {
		t.Errorf("after Close: %v, want ErrClosed that names the recorder", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	if found, err := filepath.Glob(dir + "*"); err != nil || len(found) != 0 {
		t.Errorf("a replay made %v, %v", found, err)
	}
}

func refusesAfterClose(t *testing.T, db frame.Database) {
	recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{})
	for range 50 {
		if err := recorder.Enqueue(fixture.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	frame.CloseRecorder(t, recorder)
	if n := fixture.CountRecords(t, db.Pool); n != 50 {
		t.Errorf("%d rows after Close, want all 50", n)
	}
	if _, err := recorder.Record(t.Context(), fixture.NewRecord()); !frame.IsClosed(err, "the recorder") {
		t.Errorf("Record: %v, want ErrClosed that names the recorder", err)
	}
	if err := recorder.Enqueue(fixture.NewRecord()); !frame.IsClosed(err, "the recorder") {
		t.Errorf("Enqueue: %v, want ErrClosed that names the recorder", err)
	}
	if recorder.Emit(t.Context(), fixture.NewRecord()) {
		t.Error("Emit accepted a record")
	}
	if err := recorder.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v, want nil: nothing is left", err)
	}
	frame.CloseRecorder(t, recorder)
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 50, Persisted: 50})
}

func needsDirectoryAndPool(t *testing.T, db frame.Database) {
	if _, err := frame.NewStore(db).NewRecorder(coordaudit.RecorderConfig{}); err == nil {
		t.Error("a recorder without a directory was started")
	}
	if _, err := frame.NewStore(db).NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir(), MaxBatch: coordaudit.MaxBatch + 1}); err == nil {
		t.Error("a recorder with batches beyond MaxBatch was started")
	}
	if _, err := coordaudit.New(nil, fixture.Quiet()).NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir()}); !errors.Is(err, audit.ErrNoPool) {
		t.Errorf("without a pool: %v, want ErrNoPool", err)
	}
}

func locksDirectory(t *testing.T, db frame.Database) {
	config := coordaudit.RecorderConfig{SpoolDir: t.TempDir()}
	first := frame.NewRecorder(t, frame.NewStore(db), config)
	if _, err := frame.NewStore(db).NewRecorder(config); !errors.Is(err, audit.ErrDirectoryInUse) {
		t.Errorf("%v, want ErrDirectoryInUse", err)
	}
	frame.CloseRecorder(t, first)
	frame.CloseRecorder(t, frame.NewRecorder(t, frame.NewStore(db), config))
}

// flushed is an observer of records and of batches.
type flushed struct {
	frame.Observed
	records atomic.Int64
}

func (f *flushed) ObserveFlush(_ context.Context, flush audit.Flush) {
	if flush.Err == nil {
		f.records.Add(int64(flush.Records))
	}
}

func observerSeesEachRecord(t *testing.T, db frame.Database) {
	var seen flushed
	config := fixture.Quiet()
	config.Observer = &seen
	recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, config), coordaudit.RecorderConfig{WaitTimeout: time.Minute})
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 4, Every: time.Millisecond})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return producers.Offered() > 100 })
	producers.Stop()
	frame.CloseRecorder(t, recorder)
	producers.Verify(t, db.Pool, t.TempDir())
	if recorder.Enqueue(audit.Record{}) == nil {
		t.Error("an invalid record was accepted")
	}

	observations := seen.Observations()
	ids := make([]string, 0, len(observations))
	failed := 0
	for _, o := range observations {
		ids = append(ids, o.AuditID.String())
		if o.Err != nil {
			failed++
		}
	}
	slices.Sort(ids)
	if distinct := len(slices.Compact(ids)); distinct != len(observations) || failed != 1 {
		t.Errorf("%d observations of %d records, %d failed; want one each and 1 failed", len(observations), distinct, failed)
	}
	if want := int(producers.Offered()); len(observations) != want+1 || seen.records.Load() != int64(want) {
		t.Errorf("%d observations and %d flushed, want %d and %d", len(observations), seen.records.Load(), want+1, want)
	}
}
