// Command migrate brings a database to the schema of coordination_audit_records.
// A deploy runs it once, before the services; docs/deploy.md says how.
//
// The result goes to stdout and everything else to stderr. With --json the result
// is one JSON object, whose keys are stable:
//
//	up, up-to, down, down-to, redo
//	          {"changes": [{"version", "name", "direction": "up" or "down", "duration_ms"}]}
//	status    {"migrations": [{"version", "name", "applied_at": RFC 3339 time or null}]}
//	version   {"database_version", "program_version", "build"}
//	validate  {"valid", "pending": [version]}
//	wait      {"ready": true}
//	sql       {"sql"}
//
// It exits with 0 when all is done, 1 when something failed, 2 on wrong usage,
// and validate with 3 when migrations are pending. A failed run prints the changes
// that it has made nevertheless.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal rolls back what is under way, a second one ends us at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
