package deadletter

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// file is what a [lineFile] needs of an *os.File. Only a test makes another one: a
// failing fsync is not to be had from a file.
type file interface {
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func closeFile(unused file) error {
	if unused == nil {
		return nil
	}
	return unused.Close()
}

// createNumbered makes the first file from number on whose name is free. A number is
// used once: next is beyond it also if the file could not be made.
func createNumbered(create func(string) (file, error), dir string, number int64) (made file, path string, next int64, err error) {
	for {
		path = filepath.Join(dir, numberedName(number))
		number++
		made, err = create(path)
		if !errors.Is(err, fs.ErrExist) {
			return made, path, number, err
		}
	}
}

// lineFile is a file that groups of lines are appended to, each as a whole or not at all.
type lineFile struct {
	file  file
	path  string
	size  int64 // of what was written and synced
	named bool  // the directory's entry was synced, too

	// broken: it must not be appended to any more.
	broken bool

	// left is how many bytes beyond size are on disk all the same; only if broken.
	left int64
}

// append writes the lines and syncs them. If it fails, nothing of them is left, or
// the file is broken.
func (f *lineFile) append(lines []byte, dir string) error {
	n, err := f.file.WriteAt(lines, f.size)
	if err != nil {
		f.cutOff(int64(n))
		return err
	}
	err = f.file.Sync()
	if err == nil && !f.named {
		err = syncDir(dir)
	}
	if err != nil {
		// A second fsync would report success for pages that the first one failed to
		// write and forgot, so nothing that follows them in this file could be trusted.
		f.cutOff(int64(n))
		f.broken = true
		return err
	}
	if _, err := os.Lstat(f.path); err != nil {
		// Somebody has removed the file, and what was written goes with it.
		f.broken = true
		return err
	}
	f.named = true
	f.size += int64(len(lines))
	return nil
}

// cutOff takes back what was written. A full disk does not prevent that.
func (f *lineFile) cutOff(written int64) {
	if err := f.file.Truncate(f.size); err != nil {
		f.broken, f.left = true, written
	}
}
