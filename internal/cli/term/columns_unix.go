//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package term

import (
	"os"
	"syscall"
	"unsafe"
)

// windowSize asks a terminal for its size, which is 0 if the terminal does not know it. What
// is no terminal has none: of the devices, such as the null device, only terminals answer. It
// is written here for the reason that Progress gives.
func windowSize(file *os.File) (columns, rows int, isTerminal bool) {
	var size struct{ rows, columns, width, height uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size))) //nolint:gosec // the kernel fills it in
	return int(size.columns), int(size.rows), errno == 0
}
