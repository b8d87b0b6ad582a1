//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package spool

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lockFile locks the file until release, or until the process ends in any way.
//
// gofrs/flock could do this too. It would be the first module besides pgx and uuid in every
// service that imports coordaudit, which promises that there is none (scripts/footprint.sh
// checks it), and only these few lines of it are needed.
//
// flock belongs to the open file, so a second Open in this process is refused like one in
// another process. The file stays: if it were removed, two processes could hold locks on two
// files of the same name. Others remove it all the same (a cleaner of old files), see takeLock.
func lockFile(path string) (locked fs.FileInfo, release func() error, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err = os.NewSyscallError("flock", err); errors.Is(err, syscall.EWOULDBLOCK) {
		err = audit.ErrDirectoryInUse
	}
	if err == nil {
		locked, err = file.Stat()
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return locked, func() error {
		// Closing the file is not enough, because a child that is being started holds the open
		// file too until it execs.
		return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
	}, nil
}
