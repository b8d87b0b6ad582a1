//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package term

import "os"

// windowSize knows no size here. The null device looks like a terminal, but is none.
func windowSize(file *os.File) (columns, rows int, isTerminal bool) {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return 0, 0, false
	}
	null, err := os.Stat(os.DevNull)
	return 0, 0, err != nil || !os.SameFile(info, null)
}
