//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package auditwitness

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/hoc-analytics/coordaudit/audit"
)

// takeLock locks a file until release, or until the process ends in any way. The file stays.
func takeLock(path string) (release func() error, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", audit.Printable(path), err), file.Close())
	}
	return func() error { return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close()) }, nil
}
