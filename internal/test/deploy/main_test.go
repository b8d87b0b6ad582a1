package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programVariable holds the path of the built program.
const programVariable = "DEPLOYTEST_MIGRATE"

// TestMain builds the program that a deploy runs, once for all tests.
func TestMain(m *testing.M) {
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "coordaudit-deploytest-")
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "migrate")
	text, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../../../cmd/migrate").CombinedOutput()
	if err == nil {
		err = os.Setenv(programVariable, program)
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "building cmd/migrate: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}
