package day_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programsVariable holds the directory of the built programs.
const programsVariable = "COORDAUDIT_DAY_PROGRAMS"

// TestMain builds the programs, once for all tests.
func TestMain(m *testing.M) {
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "coordaudit-day-")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, program := range []string{"coordaudit", "migrate"} {
		text, built := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, program), "../../../cmd/"+program).CombinedOutput()
		if built != nil {
			err = errors.Join(err, fmt.Errorf("building cmd/%s: %w\n%s", program, built, text))
		}
	}
	if err = errors.Join(err, os.Setenv(programsVariable, dir)); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
