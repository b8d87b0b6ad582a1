//go:build unix && !aix && !solaris

package pglocal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

const (
	helperVariable  = "PGLOCAL_TEST_HELPER"
	restartVariable = "PGLOCAL_TEST_RESTART"
)

// TestMain lets this binary act as the process that starts a server and is killed.
func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		_, _ = fmt.Fprintf(os.Stdout, "%q\n", err.Error())
		os.Exit(1)
	}
}

// serve runs a server until the test closes our input or kills us.
func serve() error {
	server, err := pglocal.Start(context.Background(), pglocal.Config{Settings: map[string]string{"cluster_name": os.Getenv(helperVariable)}})
	if err != nil {
		return err
	}
	if os.Getenv(restartVariable) != "" {
		if err := errors.Join(server.Kill(), server.Restart(context.Background())); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintln(os.Stdout, server.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Stop()
}

// helper is another process, with a server.
type helper struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	answer string // the server's URL, or the quoted error
	mark   string // is in the command line of every process of the server
}

func startHelper(t *testing.T, attributes *syscall.SysProcAttr, program string, env ...string) *helper {
	t.Helper()
	h := &helper{cmd: exec.CommandContext(t.Context(), program), mark: mark(t)}
	h.cmd.Env = append(append(os.Environ(), helperVariable+"="+h.mark), env...)
	h.cmd.SysProcAttr = attributes
	h.cmd.Dir = "/"
	stdin, err := h.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.stdin = stdin
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = h.cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the helper said %q: %v", line, err)
	}
	h.answer = strings.TrimSpace(line)
	return h
}

func (h *helper) kill(t *testing.T) {
	t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait()
}

func executable(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// shortTemp makes a directory whose name is short enough for a socket, and which
// PostgreSQL's user may enter.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pglocal") //nolint:usetesting // t.TempDir is neither
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mark is a word for cluster_name, which PostgreSQL puts into its children's titles.
func mark(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%.40s-%d", t.Name(), time.Now().UnixNano())
}

func start(t *testing.T, cfg pglocal.Config) *pglocal.Server {
	t.Helper()
	server, err := pglocal.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func ask(t *testing.T, conn *pgx.Conn, query string) (answer string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func directory(t *testing.T, url string) string {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config.Host
}

// processes lists those with any of the words in their command line, as "pid command line".
func processes(t *testing.T, words ...string) (found []string) {
	t.Helper()
	listing, err := exec.CommandContext(t.Context(), "ps", "-A", "-ww", "-o", "pid=", "-o", "args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(listing)) {
		for _, word := range words {
			if strings.Contains(line, word) {
				found = append(found, strings.TrimSpace(line))
				break
			}
		}
	}
	return found
}

// eventuallyGone fails if the directory or one of its processes is left after ten seconds.
func eventuallyGone(t *testing.T, dir, mark string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(dir)
		if left = processes(t, dir, mark); len(left) == 0 && errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
	entries, err := filepath.Glob(filepath.Join(dir, "*"))
	t.Fatalf("left in %s: %v %v; processes:\n%s", dir, entries, err, strings.Join(left, "\n"))
}
