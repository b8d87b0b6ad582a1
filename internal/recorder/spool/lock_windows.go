package spool

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/hoc-analytics/coordaudit/audit"
)

// lockFile opens the file so that no one else can open it until release, or until the process
// ends in any way. The comment on the lock for Unix says why it uses no module.
func lockFile(path string) (locked fs.FileInfo, release func() error, err error) {
	const sharingViolation = syscall.Errno(32)
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, nil, err
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, sharingViolation) {
		return nil, nil, audit.ErrDirectoryInUse
	}
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if locked, err = os.Stat(path); err != nil { // no one can remove it now
		return nil, nil, errors.Join(err, syscall.CloseHandle(handle))
	}
	return locked, func() error { return syscall.CloseHandle(handle) }, nil
}
