//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package jsonl

import (
	"os"
	"syscall"
)

// holdPart locks a part until it is closed or the process ends.
func holdPart(part *os.File) error {
	return syscall.Flock(int(part.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
