package migrate

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/pty"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const processVariable = "COORDAUDIT_TEST_IS_MIGRATE"

// TestMainProgram is not a test. In the processes that the tests of terminals start, it is the
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
		args := []string{"wait", "--timeout=3s", "--database-url=postgres://127.0.0.1:1/none"}
		if json {
			args = append(args, "--json")
		}
		code, written := pty.Start(t, 80, 24, onTerminal(t, args...)).Wait()
		if shown := strings.Contains(written, "\rmigrate wait  0:02"); code != cli.ExitFailed || shown == json {
			t.Errorf("--json %t: exit code %d, %q", json, code, written)
		}
		if end := strings.TrimSpace(written[strings.LastIndex(written, "\r")+1:]); !json && !strings.HasPrefix(end, "migrate: ") {
			t.Errorf("the progress is not erased: %q", written)
		}
	}
}

func onTerminal(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], append([]string{"-test.run=^TestMainProgram$", "--"}, args...)...)
	command.Env = append(os.Environ(), processVariable+"=1", "TERM=xterm", "COORDAUDIT_PAGER=tail -n 1")
	return command
}

// The SQL is longer than any terminal.
func TestSQLIsPaged(t *testing.T) {
	t.Parallel()
	code, paged := pty.Start(t, 80, 24, onTerminal(t, "sql")).Wait()
	if code != cli.ExitDone || strings.Count(paged, "\n") != 1 {
		t.Errorf("exit code %d, %q", code, paged)
	}
	code, whole := pty.Start(t, 80, 24, onTerminal(t, "sql", "--no-pager")).Wait()
	if code != cli.ExitDone || strings.Count(whole, "\n") < 500 || !strings.HasSuffix(whole, paged) {
		t.Errorf("exit code %d, %d lines", code, strings.Count(whole, "\n"))
	}
}

func TestDoctorFitsTheTerminal(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, columns := range []int{term.MinColumns, 80} {
		_, written := pty.Start(t, columns, 24, onTerminal(t, "doctor", "--no-pager", "--database-url", db.URL)).Wait()
		if !strings.Contains(written, "\n  is      ") {
			t.Fatalf("the doctor finds nothing: %q", written)
		}
		for line := range strings.Lines(written) {
			if line = strings.TrimSuffix(line, "\n"); term.Cells(line) > columns && !strings.HasPrefix(line, "migrate: ") {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}
