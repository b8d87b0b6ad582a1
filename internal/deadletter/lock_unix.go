//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package deadletter

import (
	"errors"
	"os"
	"syscall"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lockFile locks the file until release, or until the process ends, in whatever way.
//
// gofrs/flock could do this, too. It would be the first module besides pgx and uuid
// that a service compiles in by importing coordaudit, which promises that there is none
// (scripts/footprint.sh holds it), and these few lines are all that is needed of it.
//
// flock belongs to the open file, so that a second Open of this process is refused
// like one of another process. The file stays: to remove it would let two processes
// hold locks on two files of the same name.
func lockFile(path string) (release func() error, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = audit.ErrDirectoryInUse
	} else if err != nil {
		err = &os.PathError{Op: "flock", Path: path, Err: err}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		// To close is not enough: a child that is just being started holds the open file,
		// too, until it execs.
		return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
	}, nil
}
