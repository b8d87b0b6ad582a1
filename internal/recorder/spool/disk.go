package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// disk is what this package needs of a file system. The real one is [osDisk]. A test uses
// another one, which fails, or which forgets in a crash what was not synced.
type disk interface {
	durable.Disk
	OpenFile(path string, flag int, perm fs.FileMode) (file, error)
	Rename(from, to string) error
	Lstat(path string) (fs.FileInfo, error)
	ReadDir(path string) ([]fs.DirEntry, error)
}

// file is what this package needs of an open file.
type file interface {
	io.Reader
	io.ReaderAt
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
	Close() error
}

// osDisk is the disk of the operating system.
type osDisk struct{ durable.OS }

func (osDisk) OpenFile(path string, flag int, perm fs.FileMode) (file, error) {
	opened, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err // not a nil *os.File in an interface that is not nil
	}
	return opened, nil
}

func (osDisk) Rename(from, to string) error               { return os.Rename(from, to) }
func (osDisk) Lstat(path string) (fs.FileInfo, error)     { return os.Lstat(path) }
func (osDisk) ReadDir(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

var errNotRegular = errors.New("is not a regular file")

// openRegular opens an existing regular file. It touches nothing else of that name: opening a
// named pipe would wait for a writer.
func openRegular(d disk, path string, flag int) (file, error) {
	info, err := d.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	return d.OpenFile(path, flag, 0)
}

// readingFlag is the flag to open a file for reading and syncing. Windows syncs only a file
// that is open for writing.
func readingFlag() int {
	if runtime.GOOS == "windows" {
		return os.O_RDWR
	}
	return os.O_RDONLY
}
