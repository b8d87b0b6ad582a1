//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package deadletter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lockFile makes the file, and release removes it. These systems have no lock that the
// standard library offers and that two Opens of one process would not share: fcntl's,
// of Solaris and AIX, belongs to the process. The price is that a process that was
// killed leaves the file behind, for a person to remove. To guess that its owner is
// gone could let two processes write to one directory.
func lockFile(path string) (release func() error, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w; if that one was killed, remove %s", audit.ErrDirectoryInUse, path)
	}
	if err != nil {
		return nil, err
	}
	return func() error { return errors.Join(file.Close(), os.Remove(path)) }, nil
}
