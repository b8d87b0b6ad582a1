//go:build unix

package cli

import (
	"os"
	"syscall"
)

// wasClosed reports a standard stream that was closed when the program started. Go
// then opens the null device in its place, for reading and writing; whoever names
// that device opens it one way.
func wasClosed(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(info, null) {
		return false
	}
	_, readErr := syscall.Read(int(file.Fd()), nil)
	_, writeErr := syscall.Write(int(file.Fd()), nil)
	return readErr == nil && writeErr == nil
}
