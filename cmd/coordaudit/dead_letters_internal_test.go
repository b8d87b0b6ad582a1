package main

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

// By hand, too: a host that is gone for good may have left its directory behind.
func TestImportReadsWhatARecorderLeftInItsDirectory(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	dir := t.TempDir()
	store, err := coordaudit.Open(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable", coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{DeadLetterDir: dir, RetryBudget: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		rec := audit.Record{
			AuditID:           uuid.New(),
			EnvelopeID:        "retry-backoff-7",
			Decision:          audit.Applied,
			Reason:            "of \"several\"\nlines, <tags> & ümläuts",
			DecisionTimestamp: time.Now(),
		}
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segment was written: %v", err)
	}
	var total importCounts
	for _, segment := range segments {
		got := run(t, db.URL, "", "import", "--json", segment)
		got.mustExit(t, exitDone)
		counts := got.counts(t)
		total.Read += counts.Read
		total.Persisted += counts.Persisted
	}
	if diff := cmp.Diff(importCounts{Read: 100, Persisted: 100}, total); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}
