//go:build unix && !aix && !solaris

package pglocal_test

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

func TestServerUsesSocketOnly(t *testing.T) {
	t.Parallel()
	server := start(t, pglocal.Config{Settings: map[string]string{"application_name": `it's a \ test`, "listen_addresses": "*", "port": "1"}})
	conn := connect(t, server.URL())
	for query, want := range map[string]string{
		"SELECT current_user || ' ' || current_database()":                  "postgres postgres",
		"SELECT (current_setting('server_version_num')::int / 10000)::text": server.Version(),
		"SELECT setting FROM pg_settings WHERE name = 'listen_addresses'":   "",
		"SELECT reset_val FROM pg_settings WHERE name = 'application_name'": `it's a \ test`,
		"SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'max_connections', 'synchronous_commit')": "fsync=off full_page_writes=off max_connections=200 synchronous_commit=on",
		"SELECT pg_encoding_to_char(encoding) || ' ' || datcollate FROM pg_database WHERE datname = 'postgres'":                                                              "UTF8 C",
	} {
		if got := ask(t, conn, query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	info, err := os.Stat(directory(t, server.URL()))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's directory has mode %v, want 0700", info.Mode())
	}
}

func TestDatabaseURLTakesAnyName(t *testing.T) {
	t.Parallel()
	server := start(t, pglocal.Config{})
	const name = "a b/c?d=e&f+g%h"
	if _, err := connect(t, server.URL()).Exec(t.Context(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, connect(t, server.DatabaseURL(name)), "SELECT current_database()::text"); got != name {
		t.Errorf("got database %q, want %q", got, name)
	}
}

func TestOrdinaryUserStartsAServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("this is not root: every other test here starts servers as an ordinary user")
	}
	account, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("there is no user \"nobody\": ", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	base := shortTemp(t)
	program := filepath.Join(base, "helper") // go test keeps its own copy where only root may enter
	binary, err := os.ReadFile(executable(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(program, binary, 0o700), os.Chown(program, uid, gid), os.Chown(base, uid, gid)); err != nil {
		t.Fatal(err)
	}
	attributes := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	for _, end := range []func(*helper){
		func(h *helper) { _ = h.stdin.Close() },
		func(h *helper) { h.kill(t) },
	} {
		helper := startHelper(t, attributes, program, "TMPDIR="+base)
		dir := directory(t, helper.answer)
		if got := filepath.Dir(dir); got != base {
			t.Errorf("the server is in %s, want TMPDIR=%s", got, base)
		}
		connect(t, helper.answer)
		end(helper)
		eventuallyGone(t, dir, helper.mark)
	}
}

func TestEightConcurrentStartsWork(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			server, err := pglocal.Start(t.Context(), pglocal.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			conn, err := pgx.Connect(t.Context(), server.URL())
			if err != nil {
				t.Error(err)
			} else {
				_ = conn.Close(t.Context())
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	mark := mark(t)
	_, err := pglocal.Start(t.Context(), pglocal.Config{Settings: map[string]string{"cluster_name": mark, "no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("got %v, want the server's own words", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // within initdb
	defer cancel()
	if _, err := pglocal.Start(ctx, pglocal.Config{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline exceeded", err)
	}
	if left := processes(t, mark); len(left) > 0 {
		t.Errorf("processes left: %q", left)
	}
}
