// Package coordaudit is the program coordaudit. Its commands are in the rooms below.
package coordaudit

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/demo"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reporting"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/sealing"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/serving"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/transfer"
)

// about explains the words of the help texts where a reader meets them first.
const about = "Reads and fills the audit trail of an optimization coordinator, on PostgreSQL.\n\n" +
	"An envelope is a bounded change that the coordinator decides on. Its class is SAFETY, RELIABILITY, COST or PERFORMANCE, or UNKNOWN if it declared none. " +
	"Each record of the trail is one decision: APPLIED, REJECTED because of a conflict, or PREEMPTED, which means that another envelope, the preemptor, took its place. " +
	"A scope says whose records a command sees: one tenant's, those without a tenant, or all.\n\n" +
	"Colours appear only on a terminal, and not if NO_COLOR is set. In a pipe nothing is shortened. " +
	cli.AboutTerminal + "\n\n" +
	"Exit status: 0 done, 1 failed or something found, 2 wrong usage. A database that is away is a failure, and a command without one is wrong usage."

// commandLine is what kong fills in.
type commandLine struct {
	Database shared.Database `embed:""`

	NoPager     bool             `help:"Do not show what is longer than the terminal by a pager."`
	ShowVersion kong.VersionFlag `name:"version" help:"Show the version of this program and exit."`

	Import       transfer.Import       `cmd:"" help:"Import records from JSON Lines. A second run stores nothing twice."`
	Export       transfer.Export       `cmd:"" help:"Write records as JSON Lines, which import reads, as CSV or as CloudEvents."`
	Get          reading.Get           `cmd:"" help:"Show one record."`
	List         reading.List          `cmd:"" help:"List records, page by page."`
	Timeline     reading.Timeline      `cmd:"" help:"Draw the decisions about one envelope, and those about others that name it."`
	Explain      reading.Explain       `cmd:"" help:"Say why a decision was made: the reason, the evidence, what came after, and what to look at next."`
	Follow       reading.Follow        `cmd:"" help:"Print each record once it is committed, in order, until stopped."`
	Stats        reading.Stats         `cmd:"" help:"Count the records by class and decision, day, tenant, reason and target."`
	Signals      reading.Signals       `cmd:"" help:"Look for rejection rates, oscillation, friction, repeated rejections and preemption cycles."`
	Gaps         reading.Gaps          `cmd:"" help:"List the gaps: how many records are missing, since when and why."`
	Completeness reading.Completeness  `cmd:"" help:"Account for every record that a source accepted: stored, explained, waiting or unexplained."`
	Seal         sealing.Seal          `cmd:"" help:"Seal the trail: append every row to a Merkle log, and export signed checkpoints."`
	Verify       sealing.Verify        `cmd:"" help:"Find what was changed since it was sealed, by an exported checkpoint."`
	Prove        sealing.Prove         `cmd:"" help:"Write a proof of one record that verifies without a database."`
	Expire       sealing.Expire        `cmd:"" help:"Take old records out of the trail into an archive that proves them, on record."`
	Erase        sealing.Erase         `cmd:"" help:"Replace a text of a sealed record by its digest, on record."`
	Report       reporting.Report      `cmd:"" help:"Draw a window of the trail as one HTML file that needs no network."`
	Serve        serving.Serve         `cmd:"" help:"Serve a read-only console of the trail to browsers: search, explanations, timelines, signals and a live tail."`
	Demo         demo.Demo             `cmd:"" help:"Run a small coordinator and show its trail. It starts a PostgreSQL of its own, or makes a scratch database on the server of DATABASE_URL."`
	Completion   cli.CompletionCommand `cmd:"" help:"Print a script that completes this program's command lines in bash, zsh or fish."`
	Version      versionCommand        `cmd:"" help:"Show the versions of this program, of its schema and of Go."`
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
		Vars:        shared.FlagVariables(),
	}, args)
	if err != nil {
		return p.Fail(err)
	}
	if done {
		return cli.ExitDone
	}
	line.Database.URL = p.DatabaseURL(line.Database.URL)
	p.NoPager = line.NoPager
	if err := parsed.Run(&line.Database); err != nil {
		return p.Fail(err)
	}
	return cli.ExitDone
}
