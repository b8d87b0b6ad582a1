package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

// A directory that is closed belongs to whoever opens it next.
func TestClosedDirectoryTakesNoLock(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	closed, _ := open(t, config)
	appendAll(t, closed, records(0, 1))
	shut(t, closed)
	remove(t, segments(t, config.Path)[0])
	removeLock(t, config.Path)
	if err := closed.Append(records(0, 1)); !errors.Is(err, audit.ErrClosed) || !strings.Contains(err.Error(), "the spool is closed") {
		t.Errorf("Append() = %v, want ErrClosed that names the spool", err)
	}
	if lost := closed.Check(); len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	open(t, config)
}

// A directory that cannot be locked takes no record.
func TestUnlockableDirectory(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: filepath.Join(t.TempDir(), "spool")}
	d, _ := open(t, config)
	if err := os.Rename(config.Path, config.Path+".old"); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(config.Path, "lock")
	if err := os.MkdirAll(lock, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Append(records(0, 2)); err == nil || len(segments(t, config.Path)) > 0 {
		t.Errorf("Append() = %v, and there are %v", err, segments(t, config.Path))
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 2))
}
