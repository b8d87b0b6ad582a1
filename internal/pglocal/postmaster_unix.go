//go:build unix && !aix && !solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// launch runs a postmaster on the data directory and waits until it accepts connections. If
// it fails, no postmaster is left.
func (s *Server) launch(ctx context.Context) error {
	logged := s.home.logged()
	// The watchdog identifies the process by the absolute data directory. The settings
	// behind URL are given as options, which no other setting overrides.
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.home.data(), "--config-file="+filepath.Join(s.home.dir, "postgresql.conf"),
		"--listen_addresses=", "--unix_socket_directories="+s.home.dir, "--port=5432")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	exited := make(chan struct{})
	go func() { // Stop, Kill and a failed launch wait for its end
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

// ready reads the status line, which exists since PostgreSQL 10. After a kill, the file of
// the previous postmaster is still there.
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

// quit makes the postmaster end itself and its children at once, and waits for it.
func (s *Server) quit() error {
	if !s.running() {
		return nil
	}
	_ = s.postmaster.Process.Signal(syscall.SIGQUIT) // if this fails, so does kill
	select {
	case <-s.exited:
		return nil
	case <-time.After(10 * time.Second): // it kills its remaining children after 5 s
		return s.kill()
	}
}

func (s *Server) kill() error {
	if !s.running() {
		return nil
	}
	process := s.postmaster.Process
	// Stop it first, so that it can neither fork a child that we do not see, nor clean up
	// after one that we have killed. The signal takes effect only when the process is
	// scheduled. On a busy machine it may fork before that.
	err := process.Signal(syscall.SIGSTOP)
	children, listErr := stoppedWithChildren(process.Pid)
	for _, child := range children {
		if killErr := syscall.Kill(child, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("killing child %d: %w", child, killErr))
		}
	}
	if err = errors.Join(err, listErr, process.Kill()); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing process %d: %w", process.Pid, err)
	}
	<-s.exited
	return waitGone(children)
}

// waitGone waits until killed processes have ended: one that is busy in the kernel dies later.
// It fails after ten seconds.
func waitGone(pids []int) error {
	for range 1000 {
		all, err := processes()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(p process) bool { return p.state != 'Z' && slices.Contains(pids, p.pid) }) {
			return nil
		}
		<-time.After(10 * time.Millisecond)
	}
	return fmt.Errorf("waiting for the killed processes %v: one of them is still there", pids)
}

// stoppedWithChildren waits until a process has stopped or ended, and then lists its
// children. It fails after a second.
func stoppedWithChildren(parent int) (children []int, err error) {
	for range 500 {
		all, err := processes()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(p process) bool { return p.pid == parent })
		if i < 0 || all[i].state == 'T' || all[i].state == 'Z' {
			for _, p := range all {
				// Each child of a postmaster has its own process group, so compare parents.
				if p.parent == parent {
					children = append(children, p.pid)
				}
			}
			return children, nil
		}
		<-time.After(2 * time.Millisecond)
	}
	return nil, fmt.Errorf("waiting until process %d has stopped: it still runs", parent)
}

// process is a process of this machine. Its state is the first letter that ps shows.
type process struct {
	pid, parent int
	state       byte
}

func processes() ([]process, error) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	if len(stats) == 0 {
		return processesByPS()
	}
	var all []process
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		p := process{}
		if p.pid, err = strconv.Atoi(filepath.Base(filepath.Dir(stat))); err != nil {
			return nil, fmt.Errorf("reading %s: %w", stat, err)
		}
		// "pid (name) state ppid …", and the name may hold anything.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 2 {
			continue // it is ending
		}
		p.state = fields[0][0]
		if p.parent, err = strconv.Atoi(fields[1]); err != nil {
			return nil, fmt.Errorf("reading %s: %w", stat, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func processesByPS() ([]process, error) {
	listing, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "stat=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing processes with ps: %w", err)
	}
	var all []process
	for line := range strings.Lines(string(listing)) {
		var p process
		var state string
		if _, err := fmt.Sscan(line, &p.pid, &p.parent, &state); err == nil {
			p.state = state[0]
			all = append(all, p)
		}
	}
	return all, nil
}
