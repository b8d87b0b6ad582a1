package recorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func conflictsDelayNone(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	recs := fixture.NewRecords(5000)
	if _, err := store.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	config := frame.Hasty(t)
	config.RetryBudget, config.WaitTimeout = time.Hour, time.Minute
	recorder := frame.NewRecorder(t, store, config)
	for i := range recs {
		recs[i].Reason = "another one"
	}
	frame.EnqueueAll(t, recorder, recs)
	if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil {
		t.Errorf("behind 5,000 conflicts: %v", err)
	}
	frame.CloseRecorder(t, recorder)
	if kept := rejected(t, config.SpoolDir); len(kept) != len(recs) {
		t.Errorf("%d records are in rejected, want %d", len(kept), len(recs))
	}
}

func badRecordDelaysNoBatch(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (envelope_id <> 'poison')")
	config := coordaudit.RecorderConfig{SpoolDir: t.TempDir()}
	recorder := frame.NewRecorder(t, frame.NewStore(db), config)
	recs := fixture.NewRecords(500)
	poisoned := map[int]bool{0: true, 250: true, 251: true, 499: true}
	for i := range recs {
		if poisoned[i] {
			recs[i].EnvelopeID = "poison"
		}
		if err := recorder.Enqueue(recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	proveBy(t, recorder, 4) // the last one may have been alone in its batch
	poison := poison()
	answer := make(chan error, 1)
	go func() {
		_, err := recorder.Record(t.Context(), poison)
		answer <- err
	}()
	proveBy(t, recorder, 5)
	if err := <-answer; !errors.Is(err, audit.ErrRefused) {
		t.Errorf("a waiting caller's: %v, want ErrRefused", err)
	}
	frame.CloseRecorder(t, recorder)
	total := recorder.Stats().Total()
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: total.Accepted, Persisted: total.Accepted - 5, Rejected: 5})

	kept := rejected(t, config.SpoolDir)
	if len(kept) != 5 {
		t.Fatalf("%d records in rejected, want 5", len(kept))
	}
	for _, r := range kept {
		if r.Record.EnvelopeID != "poison" || r.SQLState != "23514" || !strings.Contains(r.Reason, "dba_says_no") {
			t.Errorf("rejected %q, %q: want the poisoned ones, and why", r.SQLState, r.Reason)
		}
	}
	if diff := kept[4].Record.DiffersIn(poison); len(diff) > 0 || kept[4].Record.AuditID != poison.AuditID {
		t.Errorf("the record that was kept differs in %v", diff)
	}
}

type rejectedRecord struct {
	Reason   string       `json:"reason"`
	SQLState string       `json:"sqlstate"`
	Record   audit.Record `json:"record"`
}

func rejected(t *testing.T, dir string) (all []rejectedRecord) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "rejected", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			var one rejectedRecord
			if err := json.Unmarshal(line, &one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
	}
	return all
}

func missingRightBlamesNoRecord(t *testing.T, db frame.Database) {
	pool, role := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records")
	recorder := frame.NewRecorder(t, coordaudit.New(pool, fixture.Quiet()), frame.Hasty(t))
	for _, rec := range fixture.NewRecords(20) {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 20 })
	fixture.MustExec(t, db.Pool, "GRANT INSERT ON coordination_audit_records TO "+role)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 0 })
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 20, Persisted: 20})
}

func policyRejectsRecords(t *testing.T, db frame.Database) {
	pool, _ := frame.PoolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	fixture.MustExec(t, db.Pool, "CREATE POLICY acme_only ON coordination_audit_records USING (true) WITH CHECK (tenant_id = 'acme')")
	recorder := frame.NewRecorder(t, coordaudit.New(pool, fixture.Quiet()), frame.Hasty(t))
	recs := fixture.NewRecords(100)
	for i := range recs {
		if i%10 == 0 {
			recs[i].TenantID = "other"
		}
		if err := recorder.Enqueue(recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	fixture.EventuallyWithin(t, time.Minute, func() bool { total := recorder.Stats().Total(); return total.Persisted+total.Rejected == 100 })
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 100, Persisted: 90, Rejected: 10})
}

// Behind a pooler that keeps no track of prepared statements, a statement is missing now and then,
// while other batches are stored.
func lostStatementBlamesNoRecord(t *testing.T, db frame.Database) {
	const invalidStatementName = "26000"
	arm := failOften(t, db, 3, invalidStatementName, "prepared statement does not exist")
	arm()
	underLoad(t, db, frame.NewStore(db), frame.Hasty(t), func(recorder *coordaudit.Recorder) { untilRetried(t, recorder, 50) })
}

// The trigger discards every record, so no record is to blame. All wait, and none is rejected.
func discardedRecordsWait(t *testing.T, db frame.Database) {
	config := frame.Impatient()
	recorder, err := fixture.OpenStore(t, db.URL, config).NewRecorder(coordaudit.RecorderConfig{
		SpoolDir: filepath.Join(t.TempDir(), "spool"), MaxRetryDelay: 50 * time.Millisecond, RetryBudget: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Close(t.Context()) })
	frame.BeforeInsert(t, db, "coordination_audit_records", "RETURN NULL;")
	for _, rec := range fixture.NewRecords(50) {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	fixture.Eventually(t, func() bool { return recorder.Stats().Retries >= 3 })
	if total := recorder.Stats().Total(); total.Rejected+total.Persisted+total.AlreadyPersisted != 0 || total.AccountedFor() != 50 {
		t.Errorf("while the trigger discards all: %+v, want all 50 kept", total)
	}
	fixture.MustExec(t, db.Pool, "DROP TRIGGER foreign_trigger ON coordination_audit_records")
	fixture.Eventually(t, func() bool { return recorder.Stats().Total().Persisted == 50 })
	if n := fixture.CountRecords(t, db.Pool); n != 50 {
		t.Errorf("%d rows, want 50", n)
	}
}
