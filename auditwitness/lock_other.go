//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package auditwitness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hoc-analytics/coordaudit/audit"
)

// takeLock makes a file, and release removes it. A killed process leaves it behind, and a
// person must remove it: a guess could let two processes cosign from one directory.
func takeLock(path string) (release func() error, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("locking %s: %w: if that one was killed, remove the file", audit.Printable(path), ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	return func() error { return errors.Join(file.Close(), os.Remove(path)) }, nil
}
