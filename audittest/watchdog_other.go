//go:build !unix

package audittest

import (
	"errors"
	"fmt"
	"runtime"
)

func startWatchdog(string, string) error {
	return fmt.Errorf("removing containers without Ryuk on %s: %w; unset TESTCONTAINERS_RYUK_DISABLED", runtime.GOOS, errors.ErrUnsupported)
}
