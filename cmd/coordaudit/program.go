package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// program is one run with all of the outside that it may touch.
type program struct {
	env    func(name string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// commandLine is what kong fills in. DATABASE_URL is read by hand, so that its
// value has no way into a help text or a message of the parser's.
type commandLine struct {
	Database database `embed:""`

	Import   importCommand   `cmd:"" help:"Import records from JSON Lines. Running it again stores nothing twice."`
	Export   exportCommand   `cmd:"" help:"Write records as JSON Lines, which import reads."`
	Get      getCommand      `cmd:"" help:"Show one record."`
	List     listCommand     `cmd:"" help:"List records, page by page."`
	Timeline timelineCommand `cmd:"" help:"Draw what happened to one envelope and because of it."`
	Stats    statsCommand    `cmd:"" help:"Count the records by class and decision, day, tenant, reason and target."`
	Signals  signalsCommand  `cmd:"" help:"Look for rejection rates, oscillations, friction and repeated rejections."`
	Gaps     gapsCommand     `cmd:"" help:"List the gaps: how many records are missing, since when and why."`
	Report   reportCommand   `cmd:"" help:"Draw a window of the trail as one HTML file that needs no network."`
	Demo     demoCommand     `cmd:"" help:"Show a small coordinator and its trail. Needs no database: it starts a PostgreSQL for itself."`
	Version  versionCommand  `cmd:"" help:"Show the versions of this program, of its schema and of Go."`
}

type database struct {
	URL string `name:"database-url" placeholder:"URL" help:"The database: postgres://user@host/name. Defaults to DATABASE_URL, which is the place for a URL with a password: other users of this machine can read arguments."`
}

// run runs one command line and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	var cli commandLine
	helped := false
	parser, err := kong.New(&cli,
		kong.Name("coordaudit"),
		kong.Description("The audit trail of an optimization coordinator, on PostgreSQL. Exit status: 0 done, 1 failed, 2 wrong usage."),
		flagVariables(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return p.fail(usage("reading the command line", err, ""))
	}
	parsed, err := parser.Parse(args)
	if helped {
		return exitDone // kong goes on parsing behind --help, and may miss a command there
	}
	if err != nil {
		return p.fail(usage("reading the command line", err, "see coordaudit --help"))
	}
	if cli.Database.URL == "" {
		cli.Database.URL = p.env("DATABASE_URL")
	}
	if err := parsed.Run(&cli.Database); err != nil {
		return p.fail(err)
	}
	return exitDone
}

// open opens a store for one command. Its log is discarded: what a person has to
// know, the command itself says.
func (d *database) open(ctx context.Context, tried string, timeout time.Duration) (*coordaudit.Store, error) {
	if err := d.check(tried); err != nil {
		return nil, err
	}
	store, err := coordaudit.Open(ctx, d.URL, coordaudit.Config{
		Logger:  slog.New(slog.DiscardHandler),
		Timeout: timeout,
		Retries: -1,
	})
	if err != nil {
		return nil, &failure{tried: tried, cause: err}
	}
	return store, nil
}

// check refuses a URL that cannot be used at all. auditmigrate reads it, because
// its text shows no password even where it cannot be told which part that is.
func (d *database) check(tried string) error {
	if d.URL == "" {
		return usage(tried, errors.New("no database is given"), "set DATABASE_URL or pass --database-url")
	}
	if _, err := auditmigrate.Open(d.URL, auditmigrate.Config{}); err != nil {
		return usage(tried, err, "see --database-url in coordaudit --help")
	}
	return nil
}

// print writes a result. Its failure is the command's: a script must not take
// half a result for a whole one.
func (p *program) print(text string) error {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		return &failure{tried: "writing the result", cause: err, next: "check where the standard output goes"}
	}
	return nil
}

// warn writes to the standard error. There is nowhere to report its failure.
func (p *program) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stderr, format+"\n", args...)
}

// isTerminal asks the standard library alone; see progress.go for why.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
