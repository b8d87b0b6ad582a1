//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lockFile creates the file, and release removes it. On these systems the standard library
// offers no lock that two Opens of one process would not share: the lock of fcntl on Solaris
// and AIX belongs to the process. The price is that a killed process leaves the file behind,
// and a person must remove it. A guess that its owner is gone could let two processes write
// to one directory.
func lockFile(path string) (locked fs.FileInfo, release func() error, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("%w; if that one was killed, remove %s", audit.ErrDirectoryInUse, path)
	}
	if err != nil {
		return nil, nil, err
	}
	if locked, err = file.Stat(); err != nil {
		return nil, nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return locked, func() error {
		err := file.Close()
		if now, statErr := os.Stat(path); statErr != nil || !os.SameFile(now, locked) {
			return err // it belongs to another one
		}
		return errors.Join(err, os.Remove(path))
	}, nil
}
