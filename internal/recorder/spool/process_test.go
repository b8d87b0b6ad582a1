package spool_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

const (
	pathVariable   = "SPOOL_TEST_PATH"
	appendVariable = "SPOOL_TEST_APPEND"
)

// TestMain lets this binary be a process that opens a spool and is killed.
func TestMain(m *testing.M) {
	path := os.Getenv(pathVariable)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := keepOpen(path); err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
}

// keepOpen keeps the spool open until the test closes the standard input. Or it appends to
// the spool until it is killed, and prints the ids of each Append that returned.
func keepOpen(path string) error {
	d, found, err := spool.Open(spool.Config{Path: path, SegmentBytes: 20 << 10})
	if err != nil {
		return err
	}
	if err := errors.Join(found.Unreadable...); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stdout, "open")
	if os.Getenv(appendVariable) == "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		return d.Close()
	}
	for n := 0; ; n++ {
		recs := records(n, n+1+n%40)
		if err := d.Append(recs); err != nil {
			return err
		}
		var ids strings.Builder
		for _, rec := range recs {
			ids.WriteString(rec.AuditID.String() + "\n")
		}
		_, _ = io.WriteString(os.Stdout, ids.String())
	}
}

// process is another process that has the spool open.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
}

func startProcess(t *testing.T, path string, env ...string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(t.Context(), program)}
	p.cmd.Env = append(append(os.Environ(), pathVariable+"="+path), env...)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	if line, err := p.out.ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("the process said %q: %v", line, err)
	}
	return p
}

// kill kills the process and returns what it had printed, without a torn line.
func (p *process) kill(t *testing.T) (lines []string) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			break
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	_ = p.cmd.Wait()
	return lines
}

func TestOpenTwice(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	inUse := func(by string) {
		t.Helper()
		if d, _, err := spool.Open(config); d != nil || !errors.Is(err, audit.ErrDirectoryInUse) {
			t.Fatalf("Open() = %v, while it is open in %s", err, by)
		}
	}
	d, _ := open(t, config)
	inUse("this process")
	shut(t, d)

	other := startProcess(t, config.Path)
	inUse("another process")
	if err := other.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	other = startProcess(t, config.Path)
	inUse("another process")
	other.kill(t)
	d, _ = open(t, config) // it is free at once
	inUse("this process")
	shut(t, d)
}

func TestKilledProcess(t *testing.T) {
	t.Parallel()
	const kills = 20
	path := t.TempDir()
	var taken []string
	for range kills {
		p := startProcess(t, path, appendVariable+"=1")
		for range rand.IntN(300) {
			line, err := p.out.ReadString('\n')
			if err != nil {
				t.Fatalf("the process ended by itself: %v", err)
			}
			taken = append(taken, strings.TrimSuffix(line, "\n"))
		}
		taken = append(taken, p.kill(t)...)
	}
	d, found := open(t, spool.Config{Path: path})
	if err := errors.Join(found.Unreadable...); err != nil {
		t.Error(err)
	}
	got, bad := drain(t, d, 1000)
	if len(bad) > 0 {
		t.Errorf("%d lines are not records, the first %s", len(bad), bad[0].Reason)
	}
	kept := make(map[string]bool, len(got))
	for _, rec := range got {
		kept[rec.AuditID.String()] = true
	}
	if len(kept) != len(got) {
		t.Errorf("%d records are there twice", len(got)-len(kept))
	}
	for _, id := range taken {
		if !kept[id] {
			t.Errorf("%s was appended and is missing", id)
		}
	}
	if len(taken) < kills || len(kept) > len(taken)+kills*40 {
		t.Errorf("%d were appended, %d are there", len(taken), len(kept))
	}
	t.Logf("%d records appended, %d there", len(taken), len(kept))
}

// A child inherits the open file of the lock until it execs.
func TestLockAndChildren(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for ctx.Err() == nil {
				_ = exec.CommandContext(ctx, os.Args[0], "-test.run=^$").Run()
			}
		})
	}
	config := spool.Config{Path: t.TempDir()}
	for range 300 {
		d, _ := open(t, config)
		shut(t, d)
	}
	stop()
	starting.Wait()
}
