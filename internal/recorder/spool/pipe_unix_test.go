//go:build unix

package spool_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// Opening a named pipe would wait for a writer.
func TestNamedPipe(t *testing.T) {
	t.Parallel()
	want := records(0, 4)
	config, path := prepared(t, want[:2])
	pipe := func(name string) {
		t.Helper()
		if err := syscall.Mkfifo(filepath.Join(config.Path, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pipe("0000000005.jsonl")
	pipe("gaps.jsonl")
	d, found := open(t, config)
	if len(found.Unreadable) != 2 {
		t.Errorf("unreadable: %v", found.Unreadable)
	}
	if err := d.SaveGap(gap(1)); err == nil {
		t.Error("a gap was saved to a pipe")
	}
	remove(t, path)
	pipe(filepath.Base(path)) // while the spool is open
	if lost := lostIn(d.Check()); lost != 2 {
		t.Errorf("%d records are reported as lost, want 2", lost)
	}
	appendAll(t, d, want[2:])
	shut(t, d)
	remove(t, path)
	d, _ = open(t, spool.Config{Path: config.Path})
	if got, _ := drain(t, d, 0); cmp.Diff(want[2:], got) != "" {
		t.Errorf("%d records", len(got))
	}
}
