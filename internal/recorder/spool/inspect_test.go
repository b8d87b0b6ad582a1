package spool_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// A look from outside counts each kind of file by itself, while the spool is in use, and
// changes nothing.
func TestInspect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, file := range map[string]struct {
		content string
		age     time.Duration
	}{
		"0000000001.jsonl":            {"1", 0},
		"0000000002.jsonl":            {"22", 2 * time.Hour},
		"0000000003.jsonl":            {"", 9 * time.Hour},
		"gaps.jsonl":                  {"gap", time.Hour},
		"statements.jsonl":            {"said", 3 * time.Hour},
		"7.jsonl":                     {"foreign", 9 * time.Hour},
		"notes.txt":                   {"another", 9 * time.Hour},
		"rejected/0000000001.jsonl":   {"12345", 4 * time.Hour},
		"torn/0000000001-0.jsonl":     {"123456", 5 * time.Hour},
		"later/0000000001.jsonl":      {"1234567", 6 * time.Hour},
		"later/below/0000000001.json": {"in a directory of its own", 9 * time.Hour},
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, path, file.content)
		if err := os.Chtimes(path, old, old.Add(-file.age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "0000000004.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := spool.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := func(number int, bytes int64, hours time.Duration) spool.Files {
		return spool.Files{Number: number, Bytes: bytes, Oldest: old.Add(-hours * time.Hour)}
	}
	want := spool.Inspection{
		Waiting: files(2, 3, 2), Rejected: files(1, 5, 4), Torn: files(1, 6, 5), Later: files(1, 7, 6),
		Gaps: files(1, 3, 1), Statements: files(1, 4, 3), Foreign: []string{"7.jsonl"}, Mode: fs.ModeDir | 0o750,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inspection (-want +got):\n%s", diff)
	}
}

func TestInspectNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got, err := spool.Inspect(dir); err != nil || got.Waiting.Number+got.Rejected.Number > 0 {
		t.Errorf("Inspect() = %+v, %v for a directory that no Recorder has used", got, err)
	}
	if _, err := spool.Inspect(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing spool is inspected")
	}
	for _, name := range []string{"rejected", "torn", "later"} {
		broken := t.TempDir()
		write(t, filepath.Join(broken, name), "a file")
		if _, err := spool.Inspect(broken); err == nil {
			t.Errorf("%s is a file, and that is no fault", name)
		}
	}
}
