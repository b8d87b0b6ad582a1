package spool_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

var errCrashed = errors.New("the machine has crashed")

// crashDisk uses the real disk below root, and records what would be left after a crash: a
// file has the content of its last fsync, a directory the names of its last one. That is less
// than most file systems keep, and all that any of them promises.
type crashDisk struct {
	spool.OSDisk
	root string

	mu    sync.Mutex
	nodes map[*node]bool
	ops   int
	after int // crash before this operation, unless it is 0
	fail  func(op string, path string) error
	log   []string
}

// node is a file or a directory, regardless of its name.
type node struct {
	info    fs.FileInfo
	content []byte           // of a file, durable
	names   map[string]*node // of a directory, durable
}

func newCrashDisk(t *testing.T) *crashDisk {
	t.Helper()
	d := &crashDisk{root: t.TempDir(), nodes: map[*node]bool{}}
	if err := d.syncDir(d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// step counts an operation that changes or syncs something.
func (d *crashDisk) step(op, path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops++
	d.log = append(d.log, op+" "+strings.TrimPrefix(path, d.root))
	if d.after > 0 && d.ops >= d.after {
		return errCrashed
	}
	if d.fail != nil {
		return d.fail(op, strings.TrimPrefix(path, d.root))
	}
	return nil
}

// node returns the node that has this path now.
func (d *crashDisk) node(path string) (*node, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return d.nodeOf(info), nil
}

func (d *crashDisk) nodeOf(info fs.FileInfo) *node {
	for n := range d.nodes {
		if os.SameFile(n.info, info) && n.info.IsDir() == info.IsDir() {
			return n
		}
	}
	made := &node{info: info, names: map[string]*node{}}
	d.nodes[made] = true
	return made
}

func (d *crashDisk) Mkdir(path string, perm fs.FileMode) error {
	if err := d.step("mkdir", path); err != nil {
		return err
	}
	return d.OSDisk.Mkdir(path, perm)
}

func (d *crashDisk) Remove(path string) error {
	if err := d.step("remove", path); err != nil {
		return err
	}
	return d.OSDisk.Remove(path)
}

func (d *crashDisk) Rename(from, to string) error {
	if err := d.step("rename", from); err != nil {
		return err
	}
	return d.OSDisk.Rename(from, to)
}

func (d *crashDisk) SyncDir(path string) error {
	if err := d.step("syncdir", path); err != nil {
		return err
	}
	return d.syncDir(path)
}

func (d *crashDisk) syncDir(path string) error {
	if path != d.root && !strings.HasPrefix(path, d.root+"/") {
		return nil // the directory of the test is durable
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	dir, err := d.node(path)
	if err != nil {
		return err
	}
	clear(dir.names)
	for _, entry := range entries {
		if dir.names[entry.Name()], err = d.node(filepath.Join(path, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (d *crashDisk) OpenFile(path string, flag int, perm fs.FileMode) (spool.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := d.step("create", path); err != nil {
			return nil, err
		}
	}
	opened, err := d.OSDisk.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return &crashFile{File: opened, disk: d, path: path}, nil
}

type crashFile struct {
	spool.File
	disk *crashDisk
	path string
}

func (f *crashFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.step("write", f.path); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f *crashFile) Truncate(size int64) error {
	if err := f.disk.step("truncate", f.path); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *crashFile) Sync() error {
	if err := f.disk.step("sync", f.path); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	content := make([]byte, info.Size())
	if _, err := f.ReadAt(content, 0); len(content) > 0 && err != nil {
		return err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.nodeOf(info).content = content
	return nil
}

// crash returns a directory with what is left after a crash.
func (d *crashDisk) crash(t *testing.T) string {
	t.Helper()
	left := t.TempDir()
	d.mu.Lock()
	defer d.mu.Unlock()
	root, err := d.node(d.root)
	if err != nil {
		t.Fatal(err)
	}
	restore(t, root, left)
	return left
}

func restore(t *testing.T, dir *node, to string) {
	t.Helper()
	for name, n := range maps.All(dir.names) {
		path := filepath.Join(to, name)
		if !n.info.IsDir() {
			write(t, path, string(n.content))
			continue
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		restore(t, n, path)
	}
}

// openOn opens the spool a/spool of the disk.
func openOn(t *testing.T, d *crashDisk) (*spool.Directory, spool.Found, error) {
	t.Helper()
	dir, found, err := spool.OpenOn(d, spool.Config{Path: filepath.Join(d.root, "a", "spool"), SegmentBytes: 1500})
	if err == nil {
		t.Cleanup(func() { _ = dir.Close() }) // releases the lock; the disk may have crashed
	}
	return dir, found, err
}
