//go:build linux

package pglocal_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// Once a child that the postmaster forked while it was being stopped outlived the kill, and
// kept the shared memory that the next postmaster needs.
func TestKillLeavesNoProcess(t *testing.T) {
	t.Parallel()
	mark := mark(t)
	server := start(t, pglocal.Config{Settings: map[string]string{"cluster_name": mark}})
	dir := directory(t, server.URL())
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	for range 2 {
		go connectRepeatedly(ctx, filepath.Join(dir, ".s.PGSQL.5432"))
	}
	for range 5 {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if left := workingIn(t, filepath.Join(dir, "data")); len(left) > 0 {
			t.Fatalf("processes %v outlived the kill", left)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// connectRepeatedly makes the postmaster fork all the time.
func connectRepeatedly(ctx context.Context, socket string) {
	var dialer net.Dialer
	for ctx.Err() == nil {
		if conn, err := dialer.DialContext(ctx, "unix", socket); err == nil {
			_ = conn.Close()
		}
	}
}

// workingIn lists the processes in a directory. All of a postmaster's are in its data.
func workingIn(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var in []string
	for _, link := range links {
		if cwd, err := filepath.EvalSymlinks(link); err == nil && cwd == dir {
			in = append(in, filepath.Base(filepath.Dir(link)))
		}
	}
	return in
}
