//go:build unix && !aix && !solaris

package pglocal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	mark := mark(t)
	server := start(t, pglocal.Config{Settings: map[string]string{"cluster_name": mark}})
	dir := directory(t, server.URL())
	connect(t, server.URL())
	if got := processes(t, dir, mark); len(got) < 4 {
		t.Fatalf("got processes %q, want postmaster, watchdog and children", got)
	}
	for range 2 {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if left := processes(t, dir, mark); len(left) > 0 {
			t.Errorf("processes left: %q", left)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	if err := server.Restart(t.Context()); err == nil {
		t.Error("a stopped server restarted without its data")
	}
}

func TestKilledParentLeavesNothing(t *testing.T) {
	t.Parallel()
	helper := startHelper(t, nil, executable(t))
	dir := directory(t, helper.answer)
	connect(t, helper.answer)
	helper.kill(t)
	eventuallyGone(t, dir, helper.mark)
}

func TestWatchdogFollowsARestart(t *testing.T) {
	t.Parallel()
	helper := startHelper(t, nil, executable(t), restartVariable+"=1")
	dir := directory(t, helper.answer)
	connect(t, helper.answer)
	helper.kill(t)
	eventuallyGone(t, dir, helper.mark)
}

func TestStartSweepsLeftovers(t *testing.T) {
	t.Parallel()
	base := shortTemp(t)
	unborn := filepath.Join(base, "new-coordaudit-pg-1") // its process died before it was locked
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Mkdir(unborn, 0o700), os.Chtimes(unborn, old, old)); err != nil {
		t.Fatal(err)
	}
	first := startHelper(t, nil, executable(t), "TMPDIR="+base)
	dir := directory(t, first.answer)
	watchdogs := processes(t, "coordaudit-pg-watchdog "+dir)
	if len(watchdogs) != 1 {
		t.Fatalf("got watchdogs %q, want one", watchdogs)
	}
	word, _, _ := strings.Cut(watchdogs[0], " ")
	pid, err := strconv.Atoi(word)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	startHelper(t, nil, executable(t), "TMPDIR="+base)
	connect(t, first.answer) // its parent still holds the lock
	first.kill(t)
	connect(t, first.answer)
	startHelper(t, nil, executable(t), "TMPDIR="+base)
	eventuallyGone(t, dir, first.mark)
	eventuallyGone(t, unborn, first.mark)
}

func TestDurableServerKeepsRows(t *testing.T) {
	t.Parallel()
	mark := mark(t)
	server := start(t, pglocal.Config{Durable: true, Settings: map[string]string{"cluster_name": mark}})
	conn := connect(t, server.URL())
	if got := ask(t, conn, "SELECT current_setting('fsync') || current_setting('full_page_writes') || current_setting('synchronous_commit')"); got != "ononon" {
		t.Errorf("got fsync, full_page_writes, synchronous_commit %s, want all on", got)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err == nil {
		t.Fatal("a running server restarted")
	}
	acknowledged := 0
	for range 3 {
		conn := connect(t, server.URL())
		failed := make(chan error)
		go func() {
			for {
				if _, err := conn.Exec(context.Background(), "INSERT INTO kept VALUES ($1)", acknowledged); err != nil {
					failed <- err
					return
				}
				acknowledged++
			}
		}()
		time.Sleep(100 * time.Millisecond)
		if err := errors.Join(server.Kill(), server.Kill()); err != nil {
			t.Fatal(err)
		}
		err := <-failed
		t.Logf("%d rows acknowledged until: %v", acknowledged, err)
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		// One more row may have been committed than was acknowledged.
		rows, err := strconv.Atoi(ask(t, connect(t, server.URL()), "SELECT count(DISTINCT n)::text FROM kept"))
		if err != nil || rows < acknowledged || acknowledged == 0 {
			t.Fatalf("got %d rows, %v, want the %d acknowledged", rows, err, acknowledged)
		}
	}
	dir := directory(t, server.URL())
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); len(processes(t, mark)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("children outlived Kill: %q", processes(t, mark))
		}
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	eventuallyGone(t, dir, mark)
}
