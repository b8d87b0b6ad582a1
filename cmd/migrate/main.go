// Command migrate brings a database to the schema of coordination_audit_records.
// A deploy runs it once, before the services. docs/deploy.md describes that.
//
// The result goes to stdout and everything else to stderr. With --json the result
// is one JSON object, whose keys are stable:
//
//	up, up-to, down, down-to, redo
//	          {"changes": [{"version", "name", "direction": "up" or "down", "duration_ms"}]}
//	status    {"migrations": [{"version", "name", "applied_at": RFC 3339 time or null}]}
//	version   {"database_version" (null if no database is given), "program_version", "build"}
//	validate  {"valid", "pending": [version], "differences": [{"object", "severity": "error", "unchecked" or "notice", "want", "got", "repair", "automatic"}]}
//	repair    {"repaired", "actions": [{"object", "sql", "done", "error"}], "differences": the same as for validate, of what is left}
//	wait      {"ready": true}
//	grants    {"schema", "applied", "statements": [SQL], "warnings": [text]}
//	sql       {"sql"}
//
// Keys without content (differences, want, repair, error) are left out.
//
// It exits with 0 when everything is done, 1 if something failed, and 2 on wrong usage.
// validate and repair exit with 3 if migrations are pending, and with 4 if the schema or
// its guards differ from what the migrations make. A run that fails still prints the
// changes that it has made.
package main

import (
	"os"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/migrate"
)

func main() { os.Exit(cli.Main("migrate", migrate.Run, os.Args[1:])) }
