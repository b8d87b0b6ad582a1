package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Main is the main function of a program but for its end: it returns the exit code.
func Main(name string, run func(ctx context.Context, p *Program, args []string) int, args []string) int {
	// A write to a pipe that is no longer read fails like any other write, so that
	// the command can clean up.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	defer stop()
	// The first signal asks for an orderly end. A second one ends the process at once.
	context.AfterFunc(ctx, stop)
	p := &Program{Name: name, Env: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	return run(ctx, p, args)
}

// endSignals are the signals that ask for an end. A hang-up that the caller ignores, as
// nohup does, stays ignored.
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
