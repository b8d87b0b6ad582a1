package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// removeLock does what a cleaner of old files does.
func removeLock(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not remove an open file")
	}
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
}

func TestRemovedLockIsTaken(t *testing.T) {
	t.Parallel()
	for name, notice := range map[string]func(*spool.Directory){
		"Append": func(d *spool.Directory) { appendAll(t, d, records(1, 2)) },
		"Check":  func(d *spool.Directory) { d.Check() },
	} {
		dir := t.TempDir()
		d, _ := open(t, spool.Config{Path: dir})
		appendAll(t, d, records(0, 1))
		removeLock(t, dir)
		if name == "Append" { // another file of the name, as a restored backup brings
			if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		notice(d)
		if _, _, err := spool.Open(spool.Config{Path: dir}); !errors.Is(err, audit.ErrDirectoryInUse) {
			t.Errorf("%s: a second Open: %v", name, err)
		}
	}
}

func TestLostLockStopsAppend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _ := open(t, spool.Config{Path: dir})
	appendAll(t, first, records(0, 1))
	removeLock(t, dir)
	second, _ := open(t, spool.Config{Path: dir})
	if err := first.Append(records(1, 2)); !errors.Is(err, audit.ErrDirectoryInUse) {
		t.Errorf("the first one appends: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	appendAll(t, first, records(2, 3))
}
