package migrate

import (
	"context"
	"errors"
	"log/slog"
	"regexp"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

// The exit codes that this program adds to those of every program.
const (
	exitPending = 3
	exitDiffers = 4
)

// grammar is the command line. kong reads no environment variable, because it would show
// the values as defaults.
type grammar struct {
	DatabaseURL string           `name:"database-url" placeholder:"URL" help:"The database, as postgres://user@host:port/database or as key=value settings. Not through a pooler in transaction mode. Default: the variable DATABASE_URL, which other users of the machine cannot see."`
	JSON        bool             `name:"json" help:"Print the result, and log lines, as JSON."`
	Schema      schemaFlag       `name:"schema" placeholder:"NAME" help:"The schema that has the trail, or will have it. It must exist. With wait, NAME may be left out: wait also until no migration is pending and the guards are in place. Default: the first schema of the search_path that has a trail, else the first that exists."`
	Verbose     bool             `name:"verbose" short:"v" help:"Log each migration when it is done."`
	NoPager     bool             `name:"no-pager" help:"Do not show what is longer than the terminal by a pager."`
	Build       kong.VersionFlag `name:"version" help:"Print the version of the program."`

	Up         upCommand             `cmd:"" help:"Apply every pending migration."`
	UpTo       upToCommand           `cmd:"" help:"Apply the pending migrations up to and including a version."`
	Down       downCommand           `cmd:"" help:"Revert the migration that was applied last."`
	DownTo     downToCommand         `cmd:"" help:"Revert every migration above a version, the newest first. Version 0 reverts all."`
	Redo       redoCommand           `cmd:"" help:"Revert the migration that was applied last and apply it again."`
	Status     statusCommand         `cmd:"" help:"List the migrations and when each was applied."`
	Version    versionCommand        `cmd:"" help:"Print the schema versions of the database and of this program, and the build of the program."`
	Grants     grantsCommand         `cmd:"" help:"Print or apply the grants that the roles of services and readers need."`
	Validate   validateCommand       `cmd:"" help:"Check that no migration is pending, and compare the schema and its guards with what the migrations make. Exit with 3 if migrations are pending, 4 if something differs."`
	Repair     repairCommand         `cmd:"" help:"Repair the schema and its guards without changing a row. Exit with 4 if something still differs."`
	Distribute distributeCommand     `cmd:"" help:"Distribute the trail over the workers of a Citus cluster, and keep every row. Run it on the coordinator."`
	Doctor     doctorCommand         `cmd:"" help:"Examine the trail as a whole: the server, standbys, guards, rights, indexes, what is missing, sealing, disk. Exit with 1 if there is an error."`
	SQL        sqlCommand            `cmd:"" name:"sql" help:"Print the SQL, for people who migrate with other tools. Needs no database."`
	Completion cli.CompletionCommand `cmd:"" help:"Print a script that completes this program's command lines in bash, zsh or fish."`
	Wait       waitCommand           `cmd:"" help:"Wait until the database answers, or until its schema is complete."`
}

// app is what every command works with.
type app struct {
	program *cli.Program
	ctx     context.Context //nolint:containedctx // kong's Run methods take one bound value
	grammar *grammar
}

// usageError is a mistake of the caller, not of ours or of the database.
func usageError(err error) error { return cli.WithCode(cli.ExitUsage, err) }

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, p *cli.Program, args []string) int {
	err := dispatch(&app{program: p, ctx: ctx, grammar: &grammar{}}, args)
	if err == nil {
		return cli.ExitDone
	}
	if errors.Is(err, auditmigrate.ErrUnknownVersion) || errors.Is(err, auditmigrate.ErrUnknownRole) {
		err = usageError(err)
	}
	return p.Fail(err)
}

func dispatch(a *app, args []string) error {
	version, _ := cli.Build()
	command, done, err := a.program.Parse(a.ctx, cli.Grammar{
		Line: a.grammar,
		Description: "Brings a database to the schema of coordination_audit_records, the audit trail. It may run several times at once: one run migrates, the others wait. The guards of the schema are the triggers and constraints that refuse changes of history.\n\n" +
			cli.AboutTerminal + "\n\n" +
			"Exits with 0 when done, 1 if something failed, 2 on wrong usage, 3 if migrations are pending, 4 if the schema or its guards differ from what the migrations make (validate, repair).",
		Version: a.program.Name + " " + version,
	}, args)
	if done {
		return nil
	}
	if err == nil {
		if err = a.grammar.placeSchema(command.Command()); err != nil {
			err = cli.Misused(reading, err)
		}
	}
	if err != nil {
		return withoutURL(err)
	}
	a.program.NoPager = a.grammar.NoPager
	progress := a.program.Progress(a.program.Name + " " + command.Selected().Name)
	defer progress.Stop()
	return command.Run(a)
}

// withoutURL keeps a password out of the message: kong repeats a database URL that stands
// in the wrong place, and may repeat a part of it only.
func withoutURL(err error) error {
	shown, ok := errors.AsType[*cli.ShownError](err)
	if ok && shown.Code == cli.ExitUsage && regexp.MustCompile(`(?i)://|@|passw`).MatchString(shown.Cause.Error()) {
		shown.Cause = errors.New("what looks like a database URL is in the wrong place: pass it by --database-url or " + cli.URLVariable)
	}
	return err
}

// migrator opens the database that the command line or the environment names.
func (a *app) migrator(config auditmigrate.Config) (*auditmigrate.Migrator, error) {
	config.Logger = a.logger()
	config.Schema = a.grammar.Schema.name
	var migrator *auditmigrate.Migrator
	err := cli.CheckDatabase(reading, a.databaseURL(), func(url string) (err error) {
		migrator, err = auditmigrate.Open(url, config)
		return err
	})
	return migrator, err
}

// reading is what is tried before anything else.
const reading = "reading the command line"

func (a *app) databaseURL() string { return a.program.DatabaseURL(a.grammar.DatabaseURL) }

func (a *app) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	if a.grammar.Verbose {
		options.Level = slog.LevelDebug
	}
	if a.grammar.JSON {
		return slog.New(slog.NewJSONHandler(a.program.Messages(), options))
	}
	return slog.New(slog.NewTextHandler(a.program.Messages(), options))
}
