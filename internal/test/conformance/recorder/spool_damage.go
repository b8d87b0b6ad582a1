package recorder

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func damagedLineIsSetAside(t *testing.T, db frame.Database) {
	dir := t.TempDir()
	var segment bytes.Buffer
	for _, rec := range fixture.NewRecords(2) {
		if err := json.NewEncoder(&segment).Encode(rec); err != nil {
			t.Fatal(err)
		}
		segment.WriteString("damaged\n")
	}
	segment.WriteString(`{"audit_id":"torn`)
	if err := os.WriteFile(filepath.Join(dir, "0000000001.jsonl"), segment.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{SpoolDir: dir})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, recorder)
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 4, Persisted: 2, Rejected: 2})
	for _, pattern := range []string{"rejected/*.jsonl", "torn/*"} {
		if kept, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(kept) != 1 {
			t.Errorf("%s holds %v, %v; want one file", pattern, kept, err)
		}
	}
}

// A record that disappears from the disk counts as dropped, is reported, and leaves a gap.
func lostSegmentIsReported(t *testing.T, db frame.Database) {
	for name, harm := range map[string]func(path string, content []byte) error{
		"Replaced": func(path string, content []byte) error {
			if err := os.WriteFile(path+".new", content[:len(content)/2], 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"Truncated": func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"Removed":   func(path string, _ []byte) error { return os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loseSegment(t, db.Another(t), harm)
		})
	}
}

func loseSegment(t *testing.T, db frame.Database, harm func(path string, content []byte) error) {
	t.Helper()
	config := frame.Hasty(t)
	away := frame.NewRecorder(t, unreachable(t), config)
	frame.EnqueueAll(t, away, fixture.NewRecords(50))
	if err := away.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(config.SpoolDir, "*.jsonl"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("segments: %v, %v", paths, err)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := harm(paths[0], content); err != nil {
		t.Fatal(err)
	}
	// If the drainer finds it first, Flush has nothing left to report. If the drainer holds the
	// records in memory, none is lost.
	mayDrop := func(what string, err error) {
		t.Helper()
		if err != nil && !errors.Is(err, audit.ErrDropped) {
			t.Errorf("%s: %v, want ErrDropped at most", what, err)
		}
	}
	mayDrop("Flush", away.Flush(t.Context()))
	frame.EnqueueAll(t, away, fixture.NewRecords(50))
	mayDrop("the next Flush", away.Flush(t.Context()))
	mayDrop("Close", away.Close(t.Context()))
	total := away.Stats().Total()
	if total.Accepted != total.AccountedFor() {
		t.Errorf("%+v does not add up", total)
	}
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	gaps := 0
	if total.Dropped > 0 {
		gaps = 1
		fixture.EventuallyWithin(t, time.Minute, func() bool { return frame.CountGaps(t, db) == 1 })
	}
	frame.CloseRecorder(t, next)
	if rows := fixture.CountRecords(t, db.Pool); rows+int(total.Dropped) < 100 || rows > 100 {
		t.Errorf("%d rows and %d dropped of 100: some are lost silently", rows, total.Dropped)
	}
	if n := frame.CountGaps(t, db); n != gaps {
		t.Errorf("%d gaps, want %d", n, gaps)
	}
	missing := fixture.QueryInt(t, db.Pool, "SELECT coalesce(sum(dropped_reliability), 0) FROM coordination_audit_gaps")
	if int64(missing) != total.Dropped {
		t.Errorf("the gap holds %d records, %d were dropped", missing, total.Dropped)
	}
}

// A damaged line can still be a valid record with other content.
func changedLineIsSetAside(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	away := frame.NewRecorder(t, unreachable(t), config)
	recs := fixture.NewRecords(3)
	recs[1].TenantID = "acme-to-be-damaged"
	frame.EnqueueAll(t, away, recs)
	frame.CloseRecorder(t, away)
	paths, err := filepath.Glob(filepath.Join(config.SpoolDir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Replace(content, []byte("to-be-damaged"), []byte("to-be-damagfd"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	recorder := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, recorder)
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 3, Persisted: 2, Rejected: 1})
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", recs[1].AuditID); n != 0 {
		t.Error("a damaged record is stored")
	}
}

// A line of a newer release is no damage. It waits, and delays no other record.
func newerLineWaits(t *testing.T, db frame.Database) {
	dir := t.TempDir()
	var segment bytes.Buffer
	segment.WriteString(`{"format":99,"envelope_class":"COST","something":"new"}` + "\n")
	if err := json.NewEncoder(&segment).Encode(fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0000000001.jsonl"), segment.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []audit.RecorderCounts{{Accepted: 2, Persisted: 1, Spooled: 1}, {Accepted: 1, Spooled: 1}} {
		recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{SpoolDir: dir})
		fixture.EventuallyWithin(t, time.Minute, func() bool {
			kept, err := filepath.Glob(filepath.Join(dir, "later", "*.jsonl"))
			segments, segmentsErr := filepath.Glob(filepath.Join(dir, "0*.jsonl"))
			return err == nil && segmentsErr == nil && len(kept) == 1 && len(segments) == 0
		})
		frame.CloseRecorder(t, recorder)
		frame.RequireTotal(t, recorder, want)
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "rejected", "*")); err != nil || len(kept) != 0 {
		t.Errorf("rejected holds %v, %v; want nothing", kept, err)
	}
}
