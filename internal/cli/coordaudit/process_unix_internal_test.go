//go:build unix

package coordaudit

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const processVariable = "COORDAUDIT_TEST_IS_PROGRAM"

// TestMainProgram is not a test. In the processes that other tests start, it is the
// program.
func TestMainProgram(t *testing.T) {
	t.Parallel()
	if os.Getenv(processVariable) != "" {
		os.Exit(cli.Main("coordaudit", Run, flag.Args()))
	}
}

// process is the program in a process of its own.
type process struct {
	*exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr lockedBuffer
}

func start(t *testing.T, databaseURL string, args ...string) *process {
	t.Helper()
	return startFile(t, os.Args[0], databaseURL, append([]string{"-test.run=^TestMainProgram$", "--"}, args...)...)
}

func startFile(tb testing.TB, file, databaseURL string, args ...string) *process {
	tb.Helper()
	p := &process{Cmd: exec.CommandContext(tb.Context(), file, args...)}
	p.Env = append(os.Environ(), processVariable+"=1", "DATABASE_URL="+databaseURL)
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	var err error
	if p.stdin, err = p.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	return p
}

// feed writes the text and keeps the standard input open, so that the program does not end
// by itself.
func (p *process) feed(text string) {
	go func() { _, _ = io.WriteString(p.stdin, text) }() // ends when the process does
}

// awaitRows waits until the program has stored that many rows.
func awaitRows(t *testing.T, db *testdb.DB, p *process, rows int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for stored(t, db.Pool) < rows {
		if !pause(ctx, 2*time.Millisecond) {
			t.Fatalf("%d rows were not stored within a minute; the program says:\n%s", rows, p.stderr.String())
		}
	}
}

func TestImportAfterAKill(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const total = 20_000
	text := lines(0, total)
	p := start(t, db.URL, "import", "-", "--batch", "500")
	p.feed(lines(0, total-250)) // it waits for the rest of a batch until the kill comes
	awaitRows(t, db, p, 2000)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	before := stored(t, db.Pool)
	if before >= total {
		t.Fatalf("all %d lines were stored before the kill", before)
	}

	got := run(t, db.URL, text, "import", "-", "--json")
	got.mustExit(t, cli.ExitDone)
	counts := got.counts(t)
	if counts.Read != total || counts.Persisted+counts.AlreadyPersisted != total || counts.AlreadyPersisted < int64(before) {
		t.Errorf("after a kill with %d rows stored: %+v", before, counts)
	}
	if n := stored(t, db.Pool); n != total {
		t.Errorf("%d rows, want %d", n, total)
	}
}

func TestImportEndsOnASignal(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			text := lines(0, 5250)
			p := start(t, db.URL, "import", "-", "--json", "--batch", "500")
			p.feed(text)
			awaitRows(t, db, p, 5000) // now it waits for more input, with a part of a batch
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(); err == nil || p.ProcessState.ExitCode() != cli.ExitFailed {
				t.Fatalf("it ended with %v, want exit code 1\n%s", err, p.stderr.String())
			}
			rows := stored(t, db.Pool)
			mustContain(t, p.stderr.String(),
				fmt.Sprintf("so far: %[1]s lines read, %[1]s persisted, 0 already persisted, 0 skipped, 0 rejected\n", format.Thousands(int64(rows))),
				fmt.Sprintf("coordaudit: importing -: interrupted after line %d: run the same command again, nothing is stored twice\n", rows))
			if text := p.stdout.String(); text != "" {
				t.Errorf("standard output has %q; an import that did not end has no result", text)
			}
			got := run(t, db.URL, text, "import", "-", "--json")
			want := importer.Counts{Read: 5250, Persisted: 5250 - int64(rows), AlreadyPersisted: int64(rows)}
			if diff := cmp.Diff(want, got.counts(t)); diff != "" {
				t.Errorf("the next run (-want +got):\n%s", diff)
			}
		})
	}
}

// The input of one run is 140 MB larger than that of the other. The memory is not.
func TestImportMemory(t *testing.T) {
	t.Parallel()
	const few, many = 5_000, 200_000
	program := buildProgram(t)
	small, large := peakMemory(t, program, few), peakMemory(t, program, many)
	input := int64((many - few) * len(paddedLine(1)))
	t.Logf("peak of resident memory: %d MB for %d lines, %d MB for %d lines, which are %d MB more", small/1e6, few, large/1e6, many, input/1e6)
	if large-small > input/8 {
		t.Errorf("the peak of resident memory grew from %d to %d bytes", small, large)
	}
}

// paddedLine is a replay in nine of ten cases, to save time.
func paddedLine(n int) string {
	return fmt.Sprintf(`{"audit_id": "%s", "envelope_id": "envelope", "envelope_class": "cost", "decision": "applied", "reason": "%s", `+
		`"decision_timestamp": "2026-01-31T12:00:00Z", "emit_traces": %t}`, number(n), strings.Repeat("because ", 60), n%10 == 0)
}

// buildProgram builds what users run. The race detector, which the test's own binary may
// have, needs memory that grows with use.
func buildProgram(tb testing.TB) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "coordaudit")
	if text, err := exec.CommandContext(tb.Context(), "go", "build", "-buildvcs=false", "-o", file, "../../../cmd/coordaudit").CombinedOutput(); err != nil {
		tb.Fatalf("building the program: %v\n%s", err, text)
	}
	return file
}

// peakMemory imports that many lines through a pipe.
func peakMemory(t *testing.T, program string, count int) int64 {
	t.Helper()
	db := testdb.New(t)
	p := startFile(t, program, db.URL, "import", "-", "--json")
	for n := range count {
		text := paddedLine(n)
		if _, err := io.WriteString(p.stdin, text+"\n"); err != nil {
			t.Fatalf("%v\n%s", err, p.stderr.String())
		}
	}
	peak := residentPeak(t, p.Process.Pid)
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.stderr.String())
	}
	got := ran{stdout: p.stdout.String()}
	want := importer.Counts{Read: int64(count), Persisted: int64(count / 10), Skipped: int64(count - count/10)}
	if diff := cmp.Diff(want, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	return peak
}

// residentPeak asks the kernel. The ru_maxrss that wait returns includes the peak of the
// process that started this one.
func residentPeak(t *testing.T, pid int) int64 {
	t.Helper()
	peak, ok := highWater(pid)
	if !ok {
		t.Skip("this system does not report the peak memory of a process")
	}
	return peak
}

func highWater(pid int) (bytes int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	found := regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`).FindSubmatch(status)
	if found == nil {
		return 0, false
	}
	kB, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kB << 10, err == nil
}

func TestDemoKeep(t *testing.T) {
	t.Parallel()
	p := start(t, "", "demo", "--keep")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(p.stdout.String(), "Ctrl-C ends the demo and removes the server.\n") {
		if !pause(ctx, 10*time.Millisecond) {
			t.Fatalf("it said:\n%s%s", p.stdout.String(), p.stderr.String())
		}
	}
	socket := regexp.MustCompile(`(?m)^  psql -h (\S+) -p \d+ -U postgres postgres$`).FindStringSubmatch(p.stdout.String())
	if socket == nil {
		t.Fatalf("no psql line in:\n%s", p.stdout.String())
	}
	if _, err := os.Stat(socket[1]); err != nil {
		t.Errorf("the server's directory: %v", err)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, p.stderr.String())
	}
	if _, err := os.Stat(socket[1]); !os.IsNotExist(err) {
		t.Errorf("the server's directory is still there: %v", err)
	}
}
