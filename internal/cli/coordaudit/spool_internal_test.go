package coordaudit

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// People import by hand what a host left in its directory before it was lost.
func TestImportReadsASpool(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	dir := t.TempDir()
	store, err := coordaudit.Open(t.Context(), "postgres://someone@127.0.0.1:1/none?sslmode=disable", coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: dir, RetryBudget: time.Millisecond})
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
	rejects := filepath.Join(t.TempDir(), "refused.jsonl")
	got := run(t, db.URL, "", append([]string{"import", "--json", "--rejects", rejects}, segments...)...)
	got.mustExit(t, cli.ExitDone)
	if diff := cmp.Diff(importer.Counts{Read: 100, Persisted: 100}, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	sources := map[uuid.UUID]bool{}
	ordinals := map[int64]bool{}
	for _, rec := range contents(t, db) {
		sources[rec.Origin.SourceID], ordinals[rec.Origin.SourceSeq] = true, true
	}
	if len(sources) != 1 || len(ordinals) != 100 || sources[uuid.Nil] {
		t.Errorf("the records have %d sources and %d ordinals, want the Recorder's", len(sources), len(ordinals))
	}
}
