package auditotel_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditotel"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestRecorderWithStore(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	if _, err := db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (tenant_id <> 'banned')"); err != nil {
		t.Fatal(err)
	}
	test := metricsOnly(t)
	recorder, err := coordaudit.New(db.Pool, test.storeConfig()).NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	reader, _ := register(t, recorder)

	same := newRecord(audit.Safety)
	other := same
	other.Reason = "another one"
	poison := newRecord(audit.Cost)
	poison.TenantID = "banned"
	for _, rec := range []audit.Record{same, newRecord(audit.Cost), poison, same, other} {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	if recorder.Enqueue(audit.Record{}) == nil {
		t.Error("an invalid record was accepted")
	}
	// A record is to blame only if others are accepted while it is refused. Provide
	// traffic.
	var traffic int64
	for deadline := time.Now().Add(time.Minute); unfinished(recorder) && time.Now().Before(deadline); traffic++ {
		if err := recorder.Enqueue(newRecord(audit.Reliability)); err != nil {
			t.Fatal(err)
		}
		if err := recorder.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	observed, gauged := collect(t, test.reader), collect(t, reader)
	got := map[string]map[string]int64{
		"records":  values(t, observed["coordination_audit_records"]),
		"failures": values(t, observed["coordination_audit_failures"]),
		"finished": values(t, gauged["coordaudit.recorder.finished.records"]),
		"accepted": values(t, gauged["coordaudit.recorder.accepted.records"]),
		"refused":  values(t, gauged["coordaudit.recorder.refused.records"]),
	}
	want := map[string]map[string]int64{
		"records":  {"SAFETY persisted": 1, "SAFETY already_persisted": 1, "SAFETY failed": 1, "COST persisted": 1, "COST failed": 1, "UNKNOWN failed": 1},
		"failures": {"SAFETY conflict": 1, "COST refused": 1, "UNKNOWN invalid_record": 1},
		"finished": {"SAFETY persisted": 1, "SAFETY already_persisted": 1, "SAFETY rejected": 1, "COST persisted": 1, "COST rejected": 1},
		"accepted": {"SAFETY": 3, "COST": 2},
		"refused":  {"": 1},
	}
	if traffic > 0 {
		want["records"]["RELIABILITY persisted"], want["finished"]["RELIABILITY persisted"] = traffic, traffic
		want["accepted"]["RELIABILITY"] = traffic
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if flushes := values(t, observed["coordaudit.flush.duration"]); flushes["queue"] == 0 {
		t.Errorf("no flush was measured: %v", flushes)
	}
}

// unfinished reports whether one of the two bad records is not yet proven to be one,
// or a record waits in a file.
func unfinished(recorder *coordaudit.Recorder) bool {
	total := recorder.Stats().Total()
	return total.Rejected < 2 || total.Spooled > 0
}

var _ auditotel.Recorder = (*coordaudit.Recorder)(nil)
