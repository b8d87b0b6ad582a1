package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lock is the lock of a directory, on a file in it.
type lock struct {
	path    string
	file    fs.FileInfo
	release func() error
}

// maxLockTries is how often takeLock meets a file that someone removes at the same time.
const maxLockTries = 100

// takeLock locks the file that has the name when it returns. Another one may have removed
// the file between its opening and its locking, and then holds a lock on a new file.
func takeLock(dir string) (*lock, error) {
	path := filepath.Join(dir, lockName)
	for range maxLockTries {
		file, release, err := lockFile(path)
		if err != nil {
			return nil, err
		}
		l := &lock{path: path, file: file, release: release}
		if !l.gone() {
			return l, nil
		}
		if err := release(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("locking %s: someone keeps removing it", path)
}

// gone reports that the locked file has no longer its name, so that others can lock
// another one.
func (l *lock) gone() bool {
	now, err := os.Stat(l.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, l.file)
}

// stillLocked fails if another Recorder has the directory now. Every other fault shows in
// the write that follows. The caller holds writing.
func (d *Directory) stillLocked() error {
	d.mu.Lock()
	err := d.usable()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.keepLock(); errors.Is(err, audit.ErrDirectoryInUse) {
		return err
	}
	return nil
}

// keepLock takes the lock again if its file was removed or replaced. It fails if another
// Recorder was faster. The caller holds writing.
func (d *Directory) keepLock() error {
	if !d.lock.gone() {
		return nil
	}
	again, err := takeLock(d.path)
	if err != nil {
		return fmt.Errorf("%s was removed or replaced: %w", d.lock.path, err)
	}
	err = d.lock.release()
	d.lock = again
	return err
}
