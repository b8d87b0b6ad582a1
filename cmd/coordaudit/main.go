// Command coordaudit is the operator's program for the audit trail: it imports and
// exports records, shows, lists, draws and counts them, tells which are missing,
// looks for what the learning side should know, and demonstrates the library.
//
// Results go to the standard output, everything else to the standard error. The
// exit status is 0 if all was done, 1 if something failed or was refused, and 2
// for wrong usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(runMain(os.Args[1:]))
}

func runMain(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end; after it, a second one ends at once.
	context.AfterFunc(ctx, stop)
	p := &program{env: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	return p.run(ctx, args)
}
