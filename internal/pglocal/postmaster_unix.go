//go:build unix && !aix && !solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// launch runs a postmaster on the data directory and waits until it takes
// connections; one that does not is gone when launch returns.
func (s *Server) launch(ctx context.Context) error {
	logged := s.home.logged()
	// The absolute data directory is what the watchdog knows the process by. What URL
	// promises is given here, where no setting overrides it.
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.home.data(), "--config-file="+filepath.Join(s.home.dir, "postgresql.conf"),
		"--listen_addresses=", "--unix_socket_directories="+s.home.dir, "--port=5432")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	exited := make(chan struct{})
	go func() { // ends with the postmaster, which Stop, Kill or a failed launch waits for
		defer close(exited)
		_ = cmd.Wait()
	}()
	s.postmaster, s.exited = cmd, exited

	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !s.ready() {
		select {
		case <-exited:
			return fmt.Errorf("running %s: it ended before it was ready (%v)%s", cmd.Path, cmd.ProcessState, s.home.tail(logged))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting until it is ready: %w%s", context.Cause(ctx), s.home.tail(logged)), s.kill())
		case <-tick.C:
		}
	}
	return nil
}

// ready reads the status line, which exists since PostgreSQL 10; after a kill the
// file is still the one of the postmaster before.
func (s *Server) ready() bool {
	text, err := os.ReadFile(filepath.Join(s.home.data(), "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	return err == nil && len(lines) >= 8 && lines[0] == strconv.Itoa(s.postmaster.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}

func (s *Server) running() bool {
	if s.postmaster == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// quit asks the postmaster to end itself and its children at once, and waits for it.
func (s *Server) quit() error {
	if !s.running() {
		return nil
	}
	_ = s.postmaster.Process.Signal(syscall.SIGQUIT) // if this cannot be, kill says why
	select {
	case <-s.exited:
		return nil
	case <-time.After(10 * time.Second): // it kills its own stragglers after 5
		return s.kill()
	}
}

func (s *Server) kill() error {
	if !s.running() {
		return nil
	}
	process := s.postmaster.Process
	// Stopped first: it can neither fork a child that we would not see, nor clean up
	// after one that we have killed.
	err := process.Signal(syscall.SIGSTOP)
	children, listErr := childrenOf(process.Pid)
	for _, child := range children {
		if killErr := syscall.Kill(child, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("killing child %d: %w", child, killErr))
		}
	}
	if err = errors.Join(err, listErr, process.Kill()); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing process %d: %w", process.Pid, err)
	}
	<-s.exited
	return nil
}

// childrenOf looks for parents, as each child of a postmaster has a process group of its own.
func childrenOf(parent int) ([]int, error) {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state ppid …", and the name may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", stat, err)
			}
			children = append(children, pid)
		}
	}
	if len(stats) > 0 {
		return children, nil
	}
	listing, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing processes with ps: %w", err)
	}
	for line := range strings.Lines(string(listing)) {
		var pid, ppid int
		if _, err := fmt.Sscan(line, &pid, &ppid); err == nil && ppid == parent {
			children = append(children, pid)
		}
	}
	return children, nil
}
