package recorder_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// witness sees what a Recorder reports: events, batches and records.
type witness struct {
	slog.Handler
	mu       sync.Mutex
	events   []map[string]string
	flushes  []audit.Flush
	observed []audit.Observation
}

func (*witness) Enabled(context.Context, slog.Level) bool { return true }

func (w *witness) Handle(_ context.Context, record slog.Record) error {
	event := map[string]string{"event": record.Message, "level": record.Level.String()}
	record.Attrs(func(attr slog.Attr) bool { event[attr.Key] = attr.Value.String(); return true })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
	return nil
}

func (w *witness) ObservePersist(_ context.Context, o audit.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed = append(w.observed, o)
}

func (w *witness) ObserveFlush(_ context.Context, flush audit.Flush) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushes = append(w.flushes, flush)
}

func (w *witness) store(db *testdb.DB, timeout time.Duration) *coordaudit.Store {
	return coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(w), Observer: w, Timeout: timeout})
}

// Where a test waits for a failure, a call ends soon, elsewhere it has all the time.
const (
	soon  = 200 * time.Millisecond
	ample = 40 * time.Second
)

// of returns the events of a name.
func (w *witness) of(name string) (found []map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range w.events {
		if event["event"] == name {
			found = append(found, maps.Clone(event))
		}
	}
	return found
}

// one returns the only event of a name.
func (w *witness) one(t *testing.T, name, level string) map[string]string {
	t.Helper()
	found := w.of(name)
	if len(found) != 1 || found[0]["level"] != level {
		t.Fatalf("%s: %v, want one event at %s", name, found, level)
	}
	return found[0]
}

// flushed sums up the batches of a kind.
func (w *witness) flushed(fromSpool, failed bool) (records int, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, flush := range w.flushes {
		if flush.FromSpool == fromSpool && (flush.Err != nil) == failed {
			records, took = records+flush.Records, took+flush.Duration
		}
	}
	return records, took
}

// lock locks the trail until release.
func lock(t *testing.T, db *testdb.DB) (release func()) {
	t.Helper()
	tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(context.Background()) }
}

func hasty(t *testing.T) coordaudit.RecorderConfig {
	t.Helper()
	return coordaudit.RecorderConfig{SpoolDir: t.TempDir(), RetryBudget: time.Millisecond, MaxRetryDelay: 100 * time.Millisecond}
}

// Each batch is reported with its size and its time, whether it was stored or not, and whether it
// came from the spool. The gauges say the same.
func TestBatchesAreReported(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	w := &witness{}
	r := newRecorder(t, w.store(db, ample), coordaudit.RecorderConfig{SpoolDir: t.TempDir(), WaitTimeout: ample})
	if _, err := r.Record(t.Context(), loadgen.NewRecord()); err != nil {
		t.Fatal(err)
	}
	if records, took := w.flushed(false, false); records != 1 || took <= 0 {
		t.Errorf("%d records in %v are reported as stored, want 1", records, took)
	}
	stats := r.Stats()
	if stats.Batches != 1 || stats.BatchedRecords != 1 || stats.FlushDuration <= 0 || stats.Retries != 0 || !stats.Available {
		t.Errorf("after one record: %+v", stats)
	}
}

func TestSpooledBatchesAreReported(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	w := &witness{}
	r := newRecorder(t, w.store(db, soon), hasty(t))
	release := lock(t, db)
	for range 3 {
		if err := r.Enqueue(loadgen.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, func() bool { return r.Stats().Total().Spooled == 3 })
	eventually(t, 30*time.Second, func() bool { // the failed batch is reported, which may come after its records are in the spool
		records, _ := w.flushed(false, true)
		return records > 0
	})
	if stats := r.Stats(); stats.Retries == 0 || stats.Available || stats.SpoolBytes == 0 {
		t.Errorf("with three in the spool: %+v", stats)
	}
	release()
	eventually(t, 30*time.Second, func() bool { return r.Stats().Total().Spooled == 0 })
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if records, _ := w.flushed(true, false); records != 3 {
		t.Errorf("%d records are reported as stored from the spool, want 3", records)
	}
	if stats := r.Stats(); stats.BatchedRecords != 3 || stats.SpoolBytes != 0 {
		t.Errorf("at the end: %+v", stats)
	}
	for name, level := range map[string]string{"audit_database_away": "WARN", "audit_database_back": "INFO", "audit_spooled": "DEBUG"} {
		if events := w.of(name); len(events) == 0 || events[0]["level"] != level {
			t.Errorf("%s: %v, want an event at %s", name, events, level)
		}
	}
}

// An operator learns of a loss when it begins and when it is on record, once each.
func TestLossIsReportedOnce(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	w := &witness{}
	config := hasty(t)
	config.MaxQueuedRecords, config.MaxSpoolBytes = 5, 1 // no record fits into the spool
	r := newRecorder(t, w.store(db, soon), config)
	release := lock(t, db)
	var dropped []uuid.UUID
	for range 9 {
		rec := loadgen.NewRecord()
		if err := r.Enqueue(rec); errors.Is(err, audit.ErrDropped) {
			dropped = append(dropped, rec.AuditID)
		}
	}
	if len(dropped) != 4 {
		t.Fatalf("%d records are dropped, want 4", len(dropped))
	}
	if event := w.one(t, "audit_dropping", "ERROR"); event["first_audit_id"] != dropped[0].String() || !strings.Contains(event["error"], "full") {
		t.Errorf("the loss begins with %v, want %s", event, dropped[0])
	}
	eventually(t, 30*time.Second, func() bool { return len(w.of("audit_spool_failing")) > 0 })
	release()
	eventually(t, 30*time.Second, func() bool { return len(w.of("audit_gap_recorded")) > 0 })
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if event := w.one(t, "audit_gap_recorded", "ERROR"); event["dropped"] != "4" || event["last_audit_id"] != dropped[3].String() {
		t.Errorf("the gap is reported as %v", event)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	ends := 0
	for _, o := range w.observed {
		if errors.Is(o.Err, audit.ErrDropped) {
			ends++
		}
	}
	if ends != 4 || len(w.observed) != 9 {
		t.Errorf("%d of %d observations are of dropped records, want 4 of 9", ends, len(w.observed))
	}
}

// away leaves records in a spool, by a Recorder whose database is away.
func away(t *testing.T, config coordaudit.RecorderConfig, recs ...audit.Record) {
	t.Helper()
	store, err := coordaudit.Open(t.Context(), "postgres://none@127.0.0.1:1/none?sslmode=disable", quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := newRecorder(t, store, config)
	for _, rec := range recs {
		if err := r.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A spooled record that the database refuses is reported with the reason, and kept without its
// ordinal, which will never come. The others are reported as stored.
func TestRefusedSpooledRecordIsReported(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	good, bad := loadgen.NewRecord(), loadgen.NewRecord()
	stored := bad
	stored.Reason = "another one"
	if _, err := coordaudit.New(db.Pool, quiet()).Persist(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	config := hasty(t)
	away(t, config, good, bad)
	w := &witness{}
	r := newRecorder(t, w.store(db, ample), config)
	eventually(t, 30*time.Second, func() bool { return r.Stats().Total().Spooled == 0 })
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if total := r.Stats().Total(); total.Persisted != 1 || total.Rejected != 1 {
		t.Errorf("%+v, want one persisted and one rejected", total)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.observed) != 2 {
		t.Fatalf("%d observations, want 2", len(w.observed))
	}
	for _, o := range w.observed {
		if refused := o.AuditID == bad.AuditID; errors.Is(o.Err, audit.ErrConflict) != refused || (o.Outcome == audit.Persisted) == refused {
			t.Errorf("observed %+v", o)
		}
	}
	text, err := os.ReadFile(filepath.Join(config.SpoolDir, "rejected", "0000000001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var line struct {
		Reason string
		Record map[string]any
	}
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatal(err)
	}
	if _, numbered := line.Record["source_seq"]; numbered || line.Record["audit_id"] != bad.AuditID.String() || !strings.Contains(line.Reason, "reason") {
		t.Errorf("kept is %s", text)
	}
}

// What someone does to the spool of a Recorder at rest is reported: a line that is no record, a
// line of a newer release, and a file that is gone.
func TestSpoolFaultsAreReported(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	config := hasty(t)
	lines := `{"format":99,"audit_id":"x","envelope_class":"SAFETY"}` + "\n" + "no record\n"
	if err := os.WriteFile(filepath.Join(config.SpoolDir, "0000000001.jsonl"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	r := newRecorder(t, w.store(db, soon), config)
	eventually(t, 30*time.Second, func() bool { return len(segments(t, config.SpoolDir)) == 0 || len(w.of("audit_spool_damaged")) > 0 })
	eventually(t, 30*time.Second, func() bool { return r.Stats().Total().Rejected == 1 })
	if event := w.one(t, "audit_spool_damaged", "ERROR"); event["error"] == "" {
		t.Errorf("the damaged line is reported as %v", event)
	}
	if event := w.one(t, "audit_spool_newer", "WARN"); event["records"] != "1" {
		t.Errorf("the newer line is reported as %v", event)
	}
	release := lock(t, db)
	for range 2 {
		if err := r.Enqueue(loadgen.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, func() bool { return r.Stats().Total().Spooled == 3 })
	paths, err := filepath.Glob(filepath.Join(config.SpoolDir, "0*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	flushErr := r.Flush(t.Context())
	release()
	_ = r.Close(context.Background()) // what the drainer held is stored, the rest is dropped
	lost := int64(0)
	for _, event := range w.of("audit_spool_lost") {
		if event["level"] != "ERROR" || !strings.Contains(event["error"], ".jsonl") {
			t.Errorf("the loss is reported as %v", event)
		}
		lost++
	}
	total := r.Stats().Total()
	if (total.Dropped > 0) != (lost > 0) || total.Accepted != total.AccountedFor() {
		t.Errorf("%d events of lost files, and %+v; Flush: %v", lost, total, flushErr)
	}
}
