package conformance

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
)

func recorderRefusals() []promise {
	return []promise{
		{"APoisonedRecordDoesNotHoldUpItsBatch", aPoisonedRecordDoesNotHoldUpItsBatch},
		{"ARightThatIsMissingIsNoRecordsFault", aRightThatIsMissingIsNoRecordsFault},
		{"APolicyThatRefusesSomeRecordsIsTheirFault", aPolicyThatRefusesSomeRecordsIsTheirFault},
		{"AFaultOfTheDatabaseIsNeverARecords", aFaultOfTheDatabaseIsNeverARecords},
	}
}

func aPoisonedRecordDoesNotHoldUpItsBatch(t *testing.T, db Database) {
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (envelope_id <> 'poison')")
	config := coordaudit.RecorderConfig{DeadLetterDir: t.TempDir()}
	recorder := newRecorder(t, newStore(db), config)
	recs := newRecords(500)
	poisoned := map[int]bool{0: true, 250: true, 251: true, 499: true}
	for i := range recs {
		if poisoned[i] {
			recs[i].EnvelopeID = "poison"
		}
		if err := recorder.Enqueue(recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	poison := newRecord()
	poison.EnvelopeID = "poison"
	if _, err := recorder.Record(t.Context(), poison); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("a waiting caller's: %v, want ErrRefused", err)
	}
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 501, Persisted: 496, Rejected: 5})
	closeRecorder(t, recorder)

	kept := rejected(t, config.DeadLetterDir)
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

func aRightThatIsMissingIsNoRecordsFault(t *testing.T, db Database) {
	pool, role := poolAsPlainRole(t, db, "SELECT ON coordination_audit_records")
	recorder := newRecorder(t, coordaudit.New(pool, quiet()), hasty(t))
	for _, rec := range newRecords(20) {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().DeadLettered == 20 })
	mustExec(t, db.Pool, "GRANT INSERT ON coordination_audit_records TO "+role)
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().DeadLettered == 0 })
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 20, Persisted: 20})
}

func aPolicyThatRefusesSomeRecordsIsTheirFault(t *testing.T, db Database) {
	pool, _ := poolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	mustExec(t, db.Pool, "CREATE POLICY acme_only ON coordination_audit_records USING (true) WITH CHECK (tenant_id = 'acme')")
	recorder := newRecorder(t, coordaudit.New(pool, quiet()), hasty(t))
	recs := newRecords(100)
	for i := range recs {
		if i%10 == 0 {
			recs[i].TenantID = "other"
		}
		if err := recorder.Enqueue(recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	eventuallyWithin(t, time.Minute, func() bool { total := recorder.Stats().Total(); return total.Persisted+total.Rejected == 100 })
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 100, Persisted: 90, Rejected: 10})
}

// As behind a pooler that follows no prepared statements: now and then one is gone,
// while other batches are stored.
func aFaultOfTheDatabaseIsNeverARecords(t *testing.T, db Database) {
	const invalidStatementName = "26000"
	arm := failOften(t, db, 3, invalidStatementName, "prepared statement does not exist")
	arm()
	underLoad(t, db, newStore(db), hasty(t), func(recorder *coordaudit.Recorder) { untilRetried(t, recorder, 50) })
}
