//go:build unix

package audittest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// watchdogScript waits until its pipe closes, which the kernel ensures however the
// test process ends. It then removes the container with label $2 and its volumes. It
// keeps looking for a while, because the container may still be starting.
const watchdogScript = `
trap '' HUP INT TERM
while read -r _; do :; done
n=0
while [ $n -lt 15 ]; do
	ids=$("$1" ps --all --quiet --filter "label=$2")
	[ -n "$ids" ] && "$1" rm --force --volumes $ids && exit
	n=$((n + 1))
	sleep 1
done
`

// startWatchdog replaces Ryuk, whose image is not available without a registry. It
// removes at the end of this process what a TestMain could not remove after kill -9.
func startWatchdog(label, engineHost string) error {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return fmt.Errorf("finding the program that removes the container: %w; install it, or let Ryuk do it: unset TESTCONTAINERS_RYUK_DISABLED", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("opening the watchdog's pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "audittest-watchdog", docker, label) //nolint:noctx // it must outlive all contexts
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+engineHost)
	cmd.Stdin = read // and no output: go test waits for whoever holds its own
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		_ = write.Close()
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait()           // it ends after this process, unless someone kills it
		runtime.KeepAlive(write) // the garbage collector would close it
	}()
	return nil
}
