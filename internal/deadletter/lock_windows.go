package deadletter

import (
	"errors"
	"os"
	"syscall"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lockFile opens the file so that nobody else can, until release or until the process
// ends, in whatever way. It is written out here for the reason that stands with the
// lock of Unix.
func lockFile(path string) (release func() error, err error) {
	const sharingViolation = syscall.Errno(32)
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, audit.ErrDirectoryInUse
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return func() error { return syscall.CloseHandle(handle) }, nil
}
