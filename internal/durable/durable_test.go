package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// noting notes what it syncs, and fails for some directories.
type noting struct {
	durable.OS
	synced []string
	fails  map[string]error
}

func (n *noting) SyncDir(path string) error {
	n.synced = append(n.synced, path)
	return errors.Join(n.fails[path], n.OS.SyncDir(path))
}

// Each directory that is made is durable in the one above, from the top.
func TestMakeDirSyncsEachEntry(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	disk := &noting{}
	for range 2 { // what is there is not made again
		if err := durable.MakeDir(disk, filepath.Join(top, "a", "b", "c"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{top, filepath.Join(top, "a"), filepath.Join(top, "a", "b")}; !slices.Equal(disk.synced, want) {
		t.Errorf("synced %q, want %q", disk.synced, want)
	}
	if info, err := os.Stat(filepath.Join(top, "a", "b", "c")); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
}

// A directory whose entry could not be synced is removed, so that the next try syncs it again.
func TestMakeDirLeavesNoUnsyncedEntry(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	full := errors.New("the disk is full")
	disk := &noting{fails: map[string]error{filepath.Join(top, "a"): full}}
	if err := durable.MakeDir(disk, filepath.Join(top, "a", "b"), 0o700); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
	if _, err := os.Stat(filepath.Join(top, "a", "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an entry that is not durable was left: %v", err)
	}
}

func TestMakeDirRefusesFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		if err := durable.MakeDir(durable.OS{}, dir, 0o700); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s: %v, want that it is no directory", dir, err)
		}
	}
}

// Every directory up to the root is synced, also if the path leads over a symbolic link. One
// above that may not be opened, or written to, is passed over. Another fault is not.
func TestSyncAbove(t *testing.T) {
	t.Parallel()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(top, "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink(below, link); err != nil {
		t.Fatal(err)
	}
	var want []string
	for dir := below; ; dir = filepath.Dir(dir) {
		want = append(want, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	disk := &noting{fails: map[string]error{top: fs.ErrPermission, filepath.Dir(top): syscall.EROFS}}
	if err := durable.SyncAbove(disk, link); err != nil || !slices.Equal(disk.synced, want) {
		t.Errorf("synced %q, want %q, error %v", disk.synced, want, err)
	}
	for _, dir := range []string{below, filepath.Join(top, "a")} {
		disk := &noting{fails: map[string]error{dir: syscall.EIO}}
		if err := durable.SyncAbove(disk, below); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s cannot be synced: %v", dir, err)
		}
	}
}

type syncing struct{ err error }

func (s syncing) Sync() error { return s.err }

// Where a file system has no sync there is nothing to wait for. A failed one is reported.
func TestSyncFile(t *testing.T) {
	t.Parallel()
	for _, none := range []error{nil, syscall.EINVAL, syscall.ENOTSUP, errors.ErrUnsupported} {
		if err := durable.SyncFile(syncing{none}); err != nil {
			t.Errorf("%v: %v", none, err)
		}
	}
	if err := durable.SyncFile(syncing{syscall.EIO}); !errors.Is(err, syscall.EIO) {
		t.Errorf("a failed sync: %v", err)
	}
}

// A file is replaced as a whole, and nothing else is left in its directory.
func TestReplaceFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"one", "another, which is longer", ""} {
		if err := durable.ReplaceFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v; want %q", got, err, content)
		}
	}
	if err := durable.ReplaceFile(filepath.Join(path, "file"), nil); err == nil {
		t.Error("a file takes the place of a directory")
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
