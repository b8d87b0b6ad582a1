package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// The exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitPending = 3
)

const urlVariable = "DATABASE_URL"

// grammar is the command line. It reads no environment variable itself: kong
// would show their values as defaults.
type grammar struct {
	DatabaseURL string `name:"database-url" placeholder:"URL" help:"The database, as postgres://user@host:port/database or as key=value settings. Not through a pooler in transaction mode. Default: the environment variable DATABASE_URL, which other users of the machine cannot see."`
	JSON        bool   `name:"json" help:"Print the result, and log lines, as JSON."`
	Verbose     bool   `name:"verbose" short:"v" help:"Log each migration when it is done, and the server's notices."`

	Up       upCommand       `cmd:"" help:"Apply every pending migration."`
	UpTo     upToCommand     `cmd:"" help:"Apply the pending migrations up to and including a version."`
	Down     downCommand     `cmd:"" help:"Revert the migration that was applied last."`
	DownTo   downToCommand   `cmd:"" help:"Revert every migration above a version, newest first; 0 reverts all."`
	Redo     redoCommand     `cmd:"" help:"Revert the migration that was applied last and apply it again."`
	Status   statusCommand   `cmd:"" help:"List the migrations and when each was applied."`
	Version  versionCommand  `cmd:"" help:"Print the schema versions of the database and of this program, and the program's build."`
	Validate validateCommand `cmd:"" help:"Exit with 3 if migrations are pending."`
	SQL      sqlCommand      `cmd:"" name:"sql" help:"Print the SQL, for people who migrate with other tools. Needs no database."`
	Wait     waitCommand     `cmd:"" help:"Wait until the database answers."`
}

// app is what every command works with.
type app struct {
	ctx            context.Context //nolint:containedctx // kong's Run methods take one bound value
	grammar        *grammar
	getenv         func(string) string
	stdout, stderr io.Writer
}

// usageError is the caller's mistake, not ours or the database's.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// notValidError makes validate exit differently from every other failure.
type notValidError struct{ err error }

func (e *notValidError) Error() string { return e.err.Error() }
func (e *notValidError) Unwrap() error { return e.err }

// run is the program; it returns its exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	err := dispatch(&app{ctx: ctx, grammar: &grammar{}, getenv: getenv, stdout: stdout, stderr: stderr}, args)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(stderr, "migrate: %v\n", err) // there is nowhere left to say that it failed
	if _, ok := errors.AsType[*notValidError](err); ok {
		return exitPending
	}
	if _, ok := errors.AsType[*usageError](err); ok || errors.Is(err, auditmigrate.ErrUnknownVersion) {
		return exitUsage
	}
	return exitFailed
}

func dispatch(a *app, args []string) error {
	helped := false
	parser, err := kong.New(a.grammar,
		kong.Name("migrate"),
		kong.Description("Brings a database to the schema of coordination_audit_records. Runs at the same time are safe: one migrates, the others wait for it.\n\n"+
			"Exits with 0 when done, 1 when something failed, 2 on wrong usage, 3 when validate finds pending migrations."),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 100}),
	)
	if err != nil {
		return fmt.Errorf("building the command line: %w", err)
	}
	command, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return wrongUsage(err)
	}
	return command.Run(a)
}

// wrongUsage keeps a password out of the message: a database URL in the wrong
// place is repeated by kong.
func wrongUsage(err error) error {
	if regexp.MustCompile(`(?i)://|@|passw`).MatchString(err.Error()) {
		err = errors.New("what looks like a database URL stands where none belongs: pass it by --database-url or " + urlVariable)
	}
	return &usageError{fmt.Errorf("reading the command line: %w: see migrate --help", err)}
}

// migrator opens the database that the command line or the environment names.
func (a *app) migrator(config auditmigrate.Config) (*auditmigrate.Migrator, error) {
	url := a.grammar.DatabaseURL
	if url == "" {
		url = a.getenv(urlVariable)
	}
	if url == "" {
		return nil, &usageError{errors.New("reading the command line: no database is given: pass --database-url or set " + urlVariable)}
	}
	config.Logger = a.logger()
	migrator, err := auditmigrate.Open(url, config)
	if err != nil {
		return nil, &usageError{err}
	}
	return migrator, nil
}

func (a *app) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelWarn}
	if a.grammar.Verbose {
		options.Level = slog.LevelDebug
	}
	if a.grammar.JSON {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}
