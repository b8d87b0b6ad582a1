//go:build unix && !aix && !solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is a running private PostgreSQL. Its methods are safe for concurrent use. Keep a
// reference while the server is needed: when there is none, its watchdog ends the server.
type Server struct {
	account account
	binDir  string
	version string
	home    *home

	mu         sync.Mutex // one of Stop, Kill and Restart at a time
	stopped    bool
	frozen     bool
	postmaster *exec.Cmd
	exited     chan struct{} // closed once the postmaster is reaped
}

// Start creates a temporary cluster with the superuser "postgres" and the database
// "postgres", and waits until it answers. ctx bounds only the start.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("starting postgres: %w", err), s.Stop()) //nolint:contextcheck // ctx may be what has just ended
	}
	return s, nil
}

// URL returns the URL of database "postgres", for pgx and psql.
func (s *Server) URL() string { return s.DatabaseURL("postgres") }

// DatabaseURL returns the URL of a database of this server.
func (s *Server) DatabaseURL(name string) string {
	// Newer versions of pgx take a plus in a URL literally.
	host := strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(s.home.dir))
	return "postgres:///" + url.PathEscape(name) + "?host=" + host + "&port=5432&user=postgres&sslmode=disable"
}

// Version returns the server's major version, such as "15".
func (s *Server) Version() string { return s.version }

// Stop ends the server without a checkpoint and removes its directory. A second call does
// nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.home == nil {
		return nil
	}
	s.stopped = true
	if s.postmaster != nil && !s.running() {
		// Only the next postmaster releases the shared memory that a killed one leaves. A
		// machine has room for a few thousand such segments.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.launch(ctx) // it may fail if the data cannot be recovered, which is removed anyway
	}
	err := errors.Join(s.thaw(), s.quit())
	if err = errors.Join(err, s.home.remove()); err != nil {
		return fmt.Errorf("stopping postgres: %w", err)
	}
	return nil
}

// Kill ends all of the server's processes with SIGKILL, as a power cut would. It keeps the
// data for Restart.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil {
		return fmt.Errorf("killing postgres: %w", err)
	}
	return nil
}

// ShutDown ends the server as an administrator would: it ends the sessions and makes a
// checkpoint. It keeps the data for Restart.
func (s *Server) ShutDown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	if err := s.postmaster.Process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("shutting postgres down: %w", err)
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(time.Minute):
		return errors.New("shutting postgres down: it still runs after a minute; kill it")
	}
}

// Restart starts a server again that was killed or shut down, with the same URL. Crash
// recovery is complete when it returns.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("restarting postgres: Stop has removed its directory; start another server")
	}
	if s.running() {
		return errors.New("restarting postgres: it is still running; kill it first")
	}
	for attempt := 1; ; attempt++ {
		err := s.launch(ctx)
		if err == nil {
			return nil
		}
		// The kernel releases the memory only when the last killed child is gone. With
		// LC_ALL=C the message is always in English.
		if attempt == 600 || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return fmt.Errorf("restarting postgres: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("restarting postgres: %w", errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) start(ctx context.Context, cfg Config) (err error) {
	if s.binDir, err = cfg.binDir(); err != nil {
		return err
	}
	if s.account, err = serverAccount(); err != nil {
		return err
	}
	if err := s.account.mayEnter(s.binDir); err != nil {
		return err
	}
	if s.home, err = newHome(ctx, s.account, cfg.file()); err != nil {
		return err
	}
	if s.version, err = s.askVersion(ctx); err != nil {
		return err
	}
	args := []string{"--pgdata=data", "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"}
	if !cfg.Durable {
		args = append(args, "--no-sync")
	}
	initdb := s.command(ctx, "initdb", args...)
	// The watchdog waits while initdb holds the pipe open. If the data were removed while
	// initdb runs, it would abort and leave its shared memory behind.
	initdb.ExtraFiles = []*os.File{s.home.pipe}
	if err := initdb.Run(); err != nil {
		return fmt.Errorf("running initdb: %w%s", errors.Join(err, ctx.Err()), s.home.tail(0))
	}
	return s.launch(ctx)
}

func (s *Server) askVersion(ctx context.Context) (string, error) {
	cmd := s.command(ctx, "postgres", "--version")
	cmd.Stdout = nil
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w%s", cmd.Path, errors.Join(err, ctx.Err()), s.home.tail(0))
	}
	var major int
	if _, err := fmt.Sscanf(string(text), "postgres (PostgreSQL) %d", &major); err != nil {
		return "", fmt.Errorf("asking %s for its version: reading %q: %w; set %s to the folder of a PostgreSQL server", cmd.Path, text, err, binVariable)
	}
	return strconv.Itoa(major), nil
}

// command prepares a server program. Cancelling ctx ends it.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.binDir, program), args...)
	// Do not signal the group: initdb ends the server that it runs in order.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = s.home.dir
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = s.home.log, s.home.log // a file, since go test waits for every process that holds its output
	cmd.SysProcAttr = s.account.processAttributes()
	return cmd
}
