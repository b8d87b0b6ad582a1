//go:build unix && !aix && !solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// StartStandby makes a standby of a running server with pg_basebackup and waits until it
// accepts connections. ctx bounds only that. The standby replicates over the server's socket,
// unless cfg sets primary_conninfo. Start the server with [Replicating]. It knows the standby
// as "standby", unless cfg sets cluster_name.
func (s *Server) StartStandby(ctx context.Context, cfg Config) (*Server, error) {
	settings := Replicating()
	settings["cluster_name"] = "standby"
	settings["primary_conninfo"] = "host='" + s.home.dir + "' port=5432 user=postgres"
	settings["wal_retrieve_retry_interval"] = "100ms"
	maps.Copy(settings, cfg.Settings)
	cfg.Settings = settings
	standby := &Server{account: s.account, binDir: s.binDir, version: s.version}
	if err := standby.follow(ctx, s, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a standby: %w", err), standby.Stop()) //nolint:contextcheck // ctx may be what has just ended
	}
	return standby, nil
}

func (s *Server) follow(ctx context.Context, primary *Server, cfg Config) (err error) {
	if s.home, err = newHome(ctx, s.account, cfg.file()); err != nil {
		return err
	}
	args := []string{
		"--pgdata=data", "--host=" + primary.home.dir, "--port=5432", "--username=postgres", "--no-password",
		"--wal-method=stream", "--checkpoint=fast", "--no-manifest",
	}
	if !cfg.Durable {
		args = append(args, "--no-sync")
	}
	backup := s.command(ctx, "pg_basebackup", args...)
	backup.ExtraFiles = []*os.File{s.home.pipe} // as with initdb
	if err := backup.Run(); err != nil {
		return fmt.Errorf("running pg_basebackup: %w%s", errors.Join(err, ctx.Err()), s.home.tail(0))
	}
	signal, err := os.OpenFile(filepath.Join(s.home.data(), "standby.signal"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("marking it a standby: %w", err)
	}
	if s.account.switched {
		err = signal.Chown(int(s.account.uid), int(s.account.gid))
	}
	if err := errors.Join(err, signal.Close()); err != nil {
		return fmt.Errorf("marking it a standby: %w", err)
	}
	return s.launch(ctx)
}

// Promote makes a standby a primary and waits until it takes writes.
func (s *Server) Promote(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return errors.New("promoting postgres: it is not running")
	}
	promote := s.command(ctx, "pg_ctl", "promote", "--wait", "--timeout=60", "--pgdata="+s.home.data())
	logged := s.home.logged()
	if err := promote.Run(); err != nil {
		return fmt.Errorf("promoting postgres: %w%s", errors.Join(err, ctx.Err()), s.home.tail(logged))
	}
	return nil
}

// Freeze stops all of the server's processes, as if its machine hung. Its connections stay
// open and silent. Thaw lets it continue.
func (s *Server) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return errors.New("freezing postgres: it is not running")
	}
	process := s.postmaster.Process
	// Stop the postmaster first, since it could fork, as in kill.
	err := process.Signal(syscall.SIGSTOP)
	children, listErr := stoppedWithChildren(process.Pid)
	if err = errors.Join(err, listErr, signalAll(children, syscall.SIGSTOP)); err != nil {
		return fmt.Errorf("freezing postgres: %w", err)
	}
	s.frozen = true
	return nil
}

// Thaw lets a frozen server continue. It does nothing if the server is not frozen.
func (s *Server) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.thaw()
}

func (s *Server) thaw() error {
	if !s.running() || !s.frozen {
		return nil
	}
	s.frozen = false
	all, err := processes()
	var children []int
	for _, p := range all {
		if p.parent == s.postmaster.Process.Pid {
			children = append(children, p.pid)
		}
	}
	err = errors.Join(err, signalAll(children, syscall.SIGCONT), s.postmaster.Process.Signal(syscall.SIGCONT))
	if err != nil {
		return fmt.Errorf("thawing postgres: %w", err)
	}
	return nil
}

func signalAll(pids []int, signal syscall.Signal) (err error) {
	for _, pid := range pids {
		if killErr := syscall.Kill(pid, signal); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("signalling child %d: %w", pid, killErr))
		}
	}
	return err
}

// Reconfigure changes one setting and makes the server reload, as ALTER SYSTEM and a reload
// do. It returns when the signal is sent.
func (s *Server) Reconfigure(name, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.OpenFile(filepath.Join(s.home.dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	_, err = fmt.Fprintf(file, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	if !s.running() {
		return nil
	}
	if err := s.postmaster.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("reloading postgres: %w", err)
	}
	return nil
}
