// Command coordaudit is the operator's program for the audit trail. It imports and
// exports records, shows, lists, draws and counts them, reports which are missing, looks
// for what the learning side should know, and demonstrates the library.
//
// Results go to the standard output, everything else to the standard error. The exit
// status is 0 if everything was done, 1 if something failed or was refused, and 2 for
// wrong usage.
package main

import (
	"os"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit"
)

func main() { os.Exit(cli.Main("coordaudit", coordaudit.Run, os.Args[1:])) }
