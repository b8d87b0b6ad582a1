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

// Server is a running PostgreSQL of our own. Its methods may be called from several
// goroutines. Keep it as long as the server is needed: when nothing refers to it any
// more, its watchdog ends the server.
type Server struct {
	account account
	binDir  string
	version string
	home    *home

	mu         sync.Mutex // one of Stop, Kill and Restart at a time
	stopped    bool
	postmaster *exec.Cmd
	exited     chan struct{} // closed once the postmaster is reaped
}

// Start makes a temporary cluster with the superuser "postgres" and the database
// "postgres" and waits until it answers; ctx bounds the start alone.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("starting postgres: %w", err), s.Stop()) //nolint:contextcheck // ctx may be what has just ended
	}
	return s, nil
}

// URL is the address of database "postgres", for pgx and psql.
func (s *Server) URL() string { return s.DatabaseURL("postgres") }

// DatabaseURL is the address of a database of this server.
func (s *Server) DatabaseURL(name string) string {
	// Newer pgx takes a plus in an address literally.
	host := strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(s.home.dir))
	return "postgres:///" + url.PathEscape(name) + "?host=" + host + "&port=5432&user=postgres&sslmode=disable"
}

// Version is the server's major version, as in "15".
func (s *Server) Version() string { return s.version }

// Stop ends the server without a checkpoint, as nobody reads its data again, and
// removes its directory. A second call does nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.home == nil {
		return nil
	}
	s.stopped = true
	if s.postmaster != nil && !s.running() {
		// Only the next postmaster gives back the shared memory that a killed one
		// leaves; machines have room for few thousand such pieces.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.launch(ctx) // or not, where the data is beyond recovery: it is removed anyway
	}
	err := s.quit()
	if err = errors.Join(err, s.home.remove()); err != nil {
		return fmt.Errorf("stopping postgres: %w", err)
	}
	return nil
}

// Kill ends all of the server's processes by SIGKILL, as a power cut would, and
// keeps its data for Restart.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kill(); err != nil {
		return fmt.Errorf("killing postgres: %w", err)
	}
	return nil
}

// ShutDown ends the server as an administrator would: sessions are ended, a
// checkpoint is made. Its data is kept for Restart.
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

// Restart starts a server that was killed or shut down again, at the same address; crash recovery is done
// when it returns.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("restarting postgres: its directory went with Stop; start another one")
	}
	if s.running() {
		return errors.New("restarting postgres: it is still running; kill it first")
	}
	for attempt := 1; ; attempt++ {
		err := s.launch(ctx)
		if err == nil {
			return nil
		}
		// The kernel frees the memory only when the last killed child is gone; LC_ALL=C
		// keeps this message as it is.
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
	// As long as it holds the pipe open the watchdog waits: data removed under initdb
	// would make it abort and leave its shared memory to the machine.
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

// command prepares a server program; cancelling ctx ends it.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.binDir, program), args...)
	// Not the group: initdb lets the server that it runs end in order.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = s.home.dir
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = s.home.log, s.home.log // a file: go test would wait for whoever holds its own output
	cmd.SysProcAttr = s.account.processAttributes()
	return cmd
}
