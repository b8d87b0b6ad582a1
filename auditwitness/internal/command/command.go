// Package command is the program auditwitness: its flags, and one file for each command.
package command

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/seal"
)

const about = "A witness for the logs of sealed trails (c2sp.org/tlog-witness).\n\n" +
	"It cosigns a checkpoint only if the log has grown since the last one and nothing in it was changed. " +
	"Run it where neither the owner of the trail nor the administrator of its database can reach it.\n\n" +
	"Exit status: 0 done, 1 failed, 2 wrong usage."

// commandLine is what kong fills in.
type commandLine struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Show the version of this program and exit."`

	Serve      serveCommand          `cmd:"" help:"Serve until a signal ends it."`
	Keygen     keygenCommand         `cmd:"" help:"Make the witness's key pair: FILE, and FILE.pub for whoever verifies."`
	Completion cli.CompletionCommand `cmd:"" help:"Print a script that completes this program's command lines in bash, zsh or fish."`
}

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, p *cli.Program, args []string) int {
	version, commit := cli.Build()
	var line commandLine
	parsed, done, err := p.Parse(ctx, cli.Grammar{
		Line:        &line,
		Description: about,
		Version:     fmt.Sprintf("%s %s (commit %s)", p.Name, version, commit),
		Compact:     true,
	}, args)
	if err == nil && !done {
		err = parsed.Run()
	}
	if err != nil {
		return p.Fail(err)
	}
	return cli.ExitDone
}

type keygenCommand struct {
	File string `arg:"" help:"The new file of the private key. FILE.pub gets the public key. Neither may exist."`
	Name string `required:"" placeholder:"NAME" help:"The name of the witness, such as witness.example/w1. Every cosignature has it."`
}

// Run is called by kong.
func (c *keygenCommand) Run(p *cli.Program) error {
	public, err := seal.CreateWitnessKey(c.File, c.Name)
	if err != nil {
		return &cli.ShownError{Tried: "making a key pair", Cause: err}
	}
	return p.Print(public + "\n")
}
