package migrate

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/pty"
)

const processVariable = "COORDAUDIT_TEST_IS_MIGRATE"

// TestMainProgram is not a test. In the processes that TestTerminalProgress starts, it is the
// program.
func TestMainProgram(t *testing.T) {
	t.Parallel()
	if os.Getenv(processVariable) != "" {
		os.Exit(cli.Main("migrate", Run, flag.Args()))
	}
}

func TestTerminalProgress(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		args := []string{"-test.run=^TestMainProgram$", "--", "wait", "--timeout=3s", "--database-url=postgres://127.0.0.1:1/none"}
		if json {
			args = append(args, "--json")
		}
		command := exec.CommandContext(t.Context(), os.Args[0], args...)
		command.Env = append(os.Environ(), processVariable+"=1")
		code, written := pty.Start(t, 80, 24, command).Wait()
		if shown := strings.Contains(written, "\rmigrate wait  0:02"); code != cli.ExitFailed || shown == json {
			t.Errorf("--json %t: exit code %d, %q", json, code, written)
		}
		if end := strings.TrimSpace(written[strings.LastIndex(written, "\r")+1:]); !json && !strings.HasPrefix(end, "migrate: ") {
			t.Errorf("the progress is not erased: %q", written)
		}
	}
}
