//go:build unix

package coordaudit

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// shell runs a line of shell in which $PROGRAM is the program.
func shell(t *testing.T, databaseURL, line string) ran {
	t.Helper()
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
	command.Env = append(os.Environ(), processVariable+"=1", "DATABASE_URL="+databaseURL)
	command.Dir = t.TempDir()
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	command.Args = []string{"/bin/sh", "-c", `PROGRAM="` + os.Args[0] + ` -test.run=^TestMainProgram$ --"; ` + line}
	if err := command.Run(); command.ProcessState == nil {
		t.Fatal(err)
	}
	return ran{code: command.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

func partsIn(t *testing.T, directory string) []string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestExportEndsOnASignal(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records"); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		directory := t.TempDir()
		p := start(t, db.URL, "export", "--all-tenants", "--out", filepath.Join(directory, "trail.jsonl"), "--manifest", filepath.Join(directory, "trail.json"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for len(partsIn(t, directory)) < 2 {
			if !pause(ctx, 2*time.Millisecond) {
				t.Fatalf("it does not begin:\n%s", p.stderr.String())
			}
		}
		cancel()
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err == nil || p.ProcessState.ExitCode() != cli.ExitFailed {
			t.Errorf("%s: it ended with %v\n%s", signal, err, p.stderr.String())
		}
		mustContain(t, p.stderr.String(), "interrupted: run the same command again, no file was written\n")
		if left := partsIn(t, directory); len(left) > 0 {
			t.Errorf("%s leaves %v", signal, left)
		}
	}
}

func TestImportSignalReport(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for i, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT} {
		p := start(t, db.URL, "import", "-", "--batch", "10")
		p.feed(lines(i*100, i*100+15))
		awaitRows(t, db, p, i*15+10)
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err == nil || p.ProcessState.ExitCode() != cli.ExitFailed {
			t.Errorf("%s: it ended with %v", signal, err)
		}
		mustContain(t, p.stderr.String(), "so far: 15 lines read, 15 persisted", "interrupted after line 15")
	}
}

// Children of nohup go on.
func TestIgnoredHangUp(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	got := shell(t, db.URL, `trap '' HUP; (echo '`+line(1)+`'; sleep 1; echo '`+line(2)+`') | sh -c 'kill -HUP $$; exec '"$PROGRAM"' import - --json --rejects r'`)
	got.mustExit(t, cli.ExitDone)
	if n := stored(t, db.Pool); n != 2 {
		t.Errorf("%d rows\n%s", n, got.stderr)
	}
}

func TestExportSweepsOldParts(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := t.TempDir()
	old := time.Now().Add(-2 * time.Hour)
	place := func(name string, age time.Time) *os.File {
		file, err := os.Create(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file.Name(), age, age); err != nil {
			t.Fatal(err)
		}
		return file
	}
	_ = place(".trail.jsonl.123.part", old).Close()
	_ = place(".trail.jsonl.124.part", time.Now()).Close() // of an export that runs
	_ = place(".other.jsonl.125.part", old).Close()        // of another file
	_ = place(".trail.jsonl.x.part", old).Close()          // not one of our names
	held := place(".trail.jsonl.126.part", old)            // of an export that waits long
	defer func() { _ = held.Close() }()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	run(t, db.URL, "", "export", "--all-tenants", "--out", filepath.Join(directory, "trail.jsonl")).mustExit(t, cli.ExitDone)
	want := ".other.jsonl.125.part .trail.jsonl.124.part .trail.jsonl.126.part .trail.jsonl.x.part trail.jsonl"
	if got := strings.Join(partsIn(t, directory), " "); got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}

func TestClosedStreams(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, lines(0, 2000), "import", "-").mustExit(t, cli.ExitDone)
	for line, says := range map[string]string{
		`$PROGRAM export --all-tenants >&-`:         "the standard output is closed: name a file with --out",
		`$PROGRAM report --all-tenants --out=- >&-`: "the standard output is closed",
		`$PROGRAM import - <&-`:                     "the standard input is closed: give a file",
		`$PROGRAM --help >/dev/full`:                "writing the result: ",
		`$PROGRAM list --help >/dev/full`:           "writing the result: ",
		`$PROGRAM --version >/dev/full`:             "writing the result: ",
		`$PROGRAM export --all-tenants >/dev/full`:  "no space left on device",
		`$PROGRAM list --all-tenants >/dev/full`:    "no space left on device",
	} {
		if strings.Contains(line, "/dev/full") {
			if _, err := os.Stat("/dev/full"); err != nil {
				continue
			}
		}
		got := shell(t, db.URL, line)
		if got.code != cli.ExitFailed || !strings.Contains(got.stderr, says) || strings.Contains(got.stderr, "exported") {
			t.Errorf("%s: exit code %d, %s", line, got.code, got.stderr)
		}
	}
	for _, line := range []string{`$PROGRAM export --all-tenants >/dev/null`, `$PROGRAM import - </dev/null`} {
		shell(t, db.URL, line).mustExit(t, cli.ExitDone)
	}
}

// As with head, there is no message and no success.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, lines(0, 3000), "import", "-").mustExit(t, cli.ExitDone)
	got := shell(t, db.URL, `{ $PROGRAM export --all-tenants; echo "exit $?" >&2; } | head -n 1`)
	if !strings.HasSuffix(got.stderr, "exit 1\n") || strings.Contains(got.stderr, "exported") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("stderr: %q", got.stderr)
	}
}

// What was read before the signal is stored, even if nothing was stored before.
func TestImportSignalBeforeABatch(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	stdin, feed := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan ran, 1)
	go func() { done <- runWith(ctx, db.URL, stdin, "import", "-") }()
	if _, err := io.WriteString(feed, lines(0, 15)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(feed, "\n"); err != nil { // it has read what came before
		t.Fatal(err)
	}
	cancel()
	got := <-done
	got.mustExit(t, cli.ExitFailed)
	rows := stored(t, db.Pool)
	if line := fmt.Sprintf("interrupted after line %d: ", rows+1); strings.Contains(got.stderr, line) {
		return // the empty line counts as soon as it is read
	}
	mustContain(t, got.stderr, fmt.Sprintf("interrupted after line %d: ", rows))
}
