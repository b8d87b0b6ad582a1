// Command auditwitness is a witness for the logs of sealed trails, by c2sp.org/tlog-witness.
// It cosigns a checkpoint only if the log has grown since the last one and nothing in it was
// changed. Run it where neither the owner of the trail nor the administrator of its database
// can reach its key and its state.
//
//	auditwitness keygen FILE --name witness.example/w1
//	auditwitness serve --key FILE --state DIR --log VKEY
//
// It exits with 0 when it was stopped by a signal, 1 if something failed, and 2 on wrong
// usage.
package main

import (
	"os"

	"github.com/hoc-analytics/coordaudit/auditwitness/internal/command"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

func main() { os.Exit(cli.Main("auditwitness", command.Run, os.Args[1:])) }
