package spool_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// A line of a newer release is neither stored nor rejected. It waits for a release that can
// read it.
func TestNewerLinesWait(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	readable, err := json.Marshal(record(1))
	if err != nil {
		t.Fatal(err)
	}
	newer := `{"format":99,"audit_id":"x","something":"new","envelope_class":"SAFETY"}`
	path := filepath.Join(config.Path, "0000000007.jsonl")
	if err := os.WriteFile(path, []byte(newer+"\n"+string(readable)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for opening := range 3 {
		dir, found := open(t, config)
		records := map[bool]int64{true: 1}[opening == 0]
		if found.Records[audit.Safety] != 1 || total(found.Records) != 1+records {
			t.Fatalf("opening %d: found %v", opening, found.Records)
		}
		batch, err := dir.Next(0)
		if err != nil || int64(len(batch.Records)) != records || len(batch.Bad) != 1 {
			t.Fatalf("opening %d: %+v, %v", opening, batch, err)
		}
		waiting, damaged := spool.SplitNewer(batch.Bad)
		if len(waiting) != 1 || len(damaged) != 0 || !strings.Contains(waiting[0].Reason, "format") {
			t.Fatalf("opening %d: newer %+v, damaged %+v", opening, waiting, damaged)
		}
		if err := dir.KeepForLater(waiting); err != nil {
			t.Fatal(err)
		}
		if err := dir.Done(batch); err != nil {
			t.Fatal(err)
		}
		if !dir.Empty() {
			t.Error("a line that waits for another release counts as one to take")
		}
		if kept := read(t, filepath.Join(config.Path, "later", "0000000001.jsonl")); kept != newer+"\n" {
			t.Errorf("kept %q, want %q", kept, newer)
		}
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func total(counts map[audit.EnvelopeClass]int64) (n int64) {
	for _, of := range counts {
		n += of
	}
	return n
}
