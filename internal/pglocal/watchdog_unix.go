//go:build unix && !aix && !solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// watchdogScript waits until its pipe closes. The kernel closes it when the parent dies, for
// any reason. Then it ends the server in directory $1 and removes the directory. It reads
// the pid only then, since a Restart changes it. Pids are reused, so the pid counts only if
// its command line has the directory.
const watchdogScript = `
trap '' HUP INT TERM
PATH=/usr/bin:/bin:$PATH
while read -r _; do :; done
[ -d "$1" ] || exit 0
runs() {
	read -r pid <"$1/data/postmaster.pid" || return 1
	case $pid in '' | *[!0-9]*) return 1 ;; esac
	case $(tr '\0' ' ' <"/proc/$pid/cmdline" || ps -o args= -p "$pid") in *"$1/data"*) return 0 ;; esac
	return 1
}
[ -e "$1/data/postmaster.pid" ] || sleep 1 # the parent died while starting it
runs "$1" && kill -QUIT "$pid"
n=0
while [ $n -lt 200 ] && runs "$1"; do
	n=$((n + 1))
	[ $n -ne 100 ] || kill -KILL "$pid"
	sleep 0.05 || sleep 1
done
n=0
until rm -rf "$1" || [ $n -ge 50 ]; do # an initdb cut short may still be writing
	n=$((n + 1))
	sleep 0.1 || sleep 1
done
`

func (h *home) startWatchdog(ctx context.Context) error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("opening the watchdog's pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	cmd := watchdogOver(context.WithoutCancel(ctx), h.dir, h.lock)
	cmd.Stdin = read
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting the watchdog: %w", err), write.Close())
	}
	h.pipe, h.watchdog = write, cmd
	return nil
}

func watchdogOver(ctx context.Context, dir string, lock *os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", watchdogScript, homePrefix+"watchdog", dir)
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// sweep ends and removes servers whose process and watchdog were both killed. It ignores
// errors: a leftover that it cannot remove must not keep a server from starting.
func sweep(ctx context.Context, base string, who account) {
	entries, _ := os.ReadDir(base)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() {
			continue
		}
		// A directory with its first name is not locked yet, or its process has just died.
		name, unnamed := strings.CutPrefix(entry.Name(), newPrefix)
		if !strings.HasPrefix(name, homePrefix) || unnamed && time.Since(info.ModTime()) < time.Minute {
			continue
		}
		// Never touch another user's directory, even as root: a planted pid file could
		// direct our kill at any process.
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || (int(stat.Uid) != os.Geteuid() && (!who.switched || stat.Uid != who.uid)) {
			continue
		}
		dir := filepath.Join(base, entry.Name())
		if lock, err := lockDirectory(dir); err == nil {
			_ = watchdogOver(ctx, dir, lock).Run() // without a pipe it does not wait
			_ = lock.Close()
		}
	}
}

// lockDirectory fails at once if another process holds the lock.
func lockDirectory(dir string) (*os.File, error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), file.Close())
	}
	return file, nil
}
