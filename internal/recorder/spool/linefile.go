package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func closeFile(unused file) error {
	if unused == nil {
		return nil
	}
	return unused.Close()
}

// createNumbered creates the first file from number on whose name is free. A number is used
// only once: next is beyond it even if the file could not be created.
func createNumbered(d disk, dir string, number int64) (made *lineFile, next int64, err error) {
	for number <= maxNumber {
		path := filepath.Join(dir, numberedName(number))
		number++
		opened, err := d.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, number, err
		}
		return &lineFile{disk: d, file: opened, path: path}, number, nil
	}
	return nil, number, fmt.Errorf("no number is left for a file in %s", dir)
}

// lineFile is a file to which groups of lines are appended, each as a whole or not at all.
type lineFile struct {
	disk  disk
	file  file
	path  string
	size  int64 // of what was written and synced
	named bool  // the directory's entry was synced too

	// broken means that nothing may be appended any more.
	broken bool

	// left is the number of bytes on disk beyond size. It is 0 unless the file is broken.
	left int64
}

// append writes the lines and syncs them. If it fails, no part of them is left, or the file
// is broken.
func (f *lineFile) append(lines []byte) error {
	if err := f.check(); err != nil {
		f.broken = true
		return err
	}
	n, err := f.file.WriteAt(lines, f.size)
	if err != nil { // as always if n is less
		f.cutOff(int64(n))
		return err
	}
	err = f.file.Sync()
	if err == nil && !f.named {
		err = f.disk.SyncDir(filepath.Dir(f.path))
	}
	if err != nil {
		// A second fsync would report success for pages that the first one failed to write
		// and then forgot. So nothing that follows them in this file could be trusted.
		f.cutOff(int64(n))
		f.broken = true
		return err
	}
	f.named = true
	f.size += int64(n)
	if err := f.check(); err != nil {
		f.broken = true
		f.size -= int64(n)
		return err
	}
	return nil
}

// check fails if someone has replaced or shortened this file. No reader would find what is
// written to it from then on.
func (f *lineFile) check() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	return checkFile(f.disk, f.path, info, f.size)
}

var (
	errReplaced  = errors.New("someone has replaced it")
	errShortened = errors.New("someone has shortened it")
)

// checkFile fails if the file of this name is another one, or is shorter than size.
func checkFile(d disk, path string, want fs.FileInfo, size int64) error {
	info, err := d.Lstat(path)
	switch {
	case err != nil:
		return err
	case !os.SameFile(info, want):
		return &fs.PathError{Op: "checking", Path: path, Err: errReplaced}
	case info.Size() < size:
		return &fs.PathError{Op: "checking", Path: path, Err: errShortened}
	default:
		return nil
	}
}

// cutOff removes what was written after size, which works on a full disk too.
func (f *lineFile) cutOff(written int64) {
	if err := f.file.Truncate(f.size); err != nil {
		f.broken, f.left = true, written
	}
}
