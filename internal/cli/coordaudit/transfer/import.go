// Package transfer has the commands that write records to files and read them from files.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/importer"
)

// importTimeout bounds one batch. It is longer than a decision may wait, because an import
// has time, and a batch that times out must be sent again.
const importTimeout = 15 * time.Second

// Import is the command import.
type Import struct {
	File     string        `arg:"" help:"JSON Lines, one record a line, with the keys of persist_audit_record. May be compressed with gzip. - is the standard input."`
	More     []string      `arg:"" optional:"" help:"More files. They are imported one after the other."`
	Batch    int           `default:"5000" help:"How many lines one transaction stores, 1 to ${max_batch}. It stores fewer if they have more than 2 MiB."`
	Rejects  string        `placeholder:"FILE" help:"Where refused lines go. Defaults to FILE.rejects.jsonl for each file, and to import.rejects.jsonl for the standard input. The file is created only if a line is refused. A file of refused lines of an earlier run is removed, any other file is refused."`
	Patience time.Duration `default:"30s" help:"How long to wait for a database that is away. A database that answers has 15s for each batch."`
	JSON     bool          `name:"json" help:"Print the summary as one JSON object."`
}

// Validate is called by kong.
func (c *Import) Validate() error {
	dashes := 0
	for _, file := range c.files() {
		if file == "-" {
			dashes++
		}
	}
	switch {
	case c.Batch < 1 || c.Batch > coordaudit.MaxBatch:
		return fmt.Errorf("--batch must be 1 to %d", coordaudit.MaxBatch)
	case c.Patience < 0:
		return errors.New("--patience must not be negative")
	case dashes > 1:
		return errors.New("- is the standard input, which can be read once")
	}
	return nil
}

func (c *Import) files() []string { return append([]string{c.File}, c.More...) }

// Run is called by kong.
func (c *Import) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	if slices.Contains(c.files(), "") {
		return cli.Usage("importing", errors.New("the file's name is empty"), "give a path, or - for the standard input")
	}
	tried := "importing " + c.File
	if err := p.MustHaveStdin(tried, c.files()); err != nil {
		return err
	}
	inputs := c.inputs(p)
	if refused, ok := errors.AsType[*importer.RejectsError](importer.Check(c.Rejects, inputs, p.Stdin)); ok {
		return rejectsFailure(refused)
	}
	store, err := db.Open(ctx, tried, importTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	show := &importProgress{p: p}
	run := &importRun{command: c, p: p, started: time.Now()}
	run.importer = importer.New(importer.Config{
		Store:    store,
		Batch:    c.Batch,
		Patience: c.Patience,
		Reporter: show,
		Several:  len(c.More) > 0,
		Rejects:  c.Rejects,
	})
	for _, file := range inputs {
		show.tried = "importing " + file
		if err := run.importer.File(ctx, file, p.Stdin); err != nil {
			run.close(ctx)
			return run.stopped(show.tried, err)
		}
	}
	run.close(ctx)
	return run.finished()
}

// inputs returns the files to import. Several files usually come from a pattern, which
// also matches files of refused lines. What they hold tells, not their names.
func (c *Import) inputs(p *cli.Program) []string {
	if len(c.More) == 0 {
		return c.files()
	}
	var inputs []string
	for _, file := range c.files() {
		if held := importer.HeldForRecorder(file); held != "" {
			p.Warn("%s is left out: it holds the %s of a Recorder, which the next Recorder on its directory stores", file, held)
			continue
		}
		if importer.HoldsRefused(file) {
			p.Warn("%s is left out: it holds the refused lines of an earlier import", file)
			continue
		}
		inputs = append(inputs, file)
	}
	return inputs
}

// importProgress shows a person how the import gets on.
type importProgress struct {
	p     *cli.Program
	tried string
	size  int64 // of the file in bytes; 0 if unknown
	line  *term.Progress
}

// Begin implements importReporter.
func (s *importProgress) Begin(size int64) { s.line, s.size = s.p.Progress(s.tried), size }

// Progress implements importReporter.
func (s *importProgress) Progress(bytes, lines int64) {
	s.line.Update(term.Done{Part: bytes, Whole: s.size, Count: lines, Noun: "line"})
}

// End implements importReporter.
func (s *importProgress) End() { s.line.Stop() }

// Notice implements importReporter.
func (s *importProgress) Notice(text string) { s.p.Warn("%s", text) }

// importRun is one import, whose end it reports.
type importRun struct {
	command  *Import
	p        *cli.Program
	importer *importer.Importer
	started  time.Time
}

// close puts the end of the import on record. The records are stored without it.
func (r *importRun) close(ctx context.Context) {
	if err := r.importer.Close(ctx); err != nil {
		r.p.Warn("the end of the import is not on record, so its last block counts as unknown: %s", format.OneLine(err))
	}
}

// stopped reports an import that did not reach the end of its input. Its summary
// is no result, so it goes to the standard error, also with --json.
func (r *importRun) stopped(tried string, cause error) error {
	if refused, ok := errors.AsType[*importer.RejectsError](cause); ok {
		return rejectsFailure(refused)
	}
	counts := r.importer.Counts()
	if _, ok := errors.AsType[*importer.OpenError](cause); !ok {
		r.sayHidden()
	} else if counts.Read == 0 && r.importer.Files() == 0 {
		return &cli.ShownError{Tried: tried, Cause: cause, Next: "check the path"}
	}
	r.p.Warn("so far: %s", counts)
	again := "run the same command again, nothing is stored twice"
	if errors.Is(cause, importer.ErrInterrupted) {
		return &cli.ShownError{Tried: tried, Cause: cause, Next: again}
	}
	if foreign, ok := errors.AsType[*importer.ForeignError](cause); ok {
		return &cli.ShownError{Tried: tried, Cause: foreign, Next: foreign.Next}
	}
	return &cli.ShownError{Tried: tried, Cause: cause, Next: "fix the cause, then " + again}
}

func rejectsFailure(refused *importer.RejectsError) error {
	shown := &cli.ShownError{Tried: "making " + refused.Path + ", the file of refused lines", Cause: refused.Err, Next: "name another file with --rejects"}
	if refused.Usage {
		shown.Code = cli.ExitUsage
	}
	if refused.Directory {
		shown.Next = "name a file with --rejects"
	}
	return shown
}

// sayHidden says how many lines were refused or left out and not shown.
func (r *importRun) sayHidden() {
	if hidden := r.importer.NotShown(); hidden > 0 {
		r.p.Warn("… and %s more refused lines", format.Thousands(hidden))
	}
	if hidden := r.importer.NewerNotShown(); hidden > 0 {
		r.p.Warn("… and %s more lines of a newer release", format.Thousands(hidden))
	}
}

func (r *importRun) finished() error {
	r.sayHidden()
	c, counts := r.command, r.importer.Counts()
	what := c.File
	if len(c.More) > 0 {
		what = format.Plural(int64(r.importer.Files()), "file")
	}
	var err error
	if c.JSON {
		err = r.p.PrintJSON("importing "+what, counts)
	} else {
		err = r.p.Print(importSummary(counts, what, time.Since(r.started)))
	}
	if err != nil {
		return err
	}
	if counts.Rejected > 0 {
		r.p.Warn("coordaudit: importing %s: %s refused, see %s: fix them and import again, nothing is stored twice",
			what, format.Plural(counts.Rejected, "line"), strings.Join(r.importer.Kept(), ", "))
	}
	if counts.Newer > 0 {
		r.p.Warn("coordaudit: importing %s: %s of a newer release left out: update coordaudit and import again, nothing is stored twice",
			what, format.Plural(counts.Newer, "line"))
	}
	if counts.Rejected > 0 || counts.Newer > 0 {
		return cli.ErrReported
	}
	return nil
}

func importSummary(c importer.Counts, what string, took time.Duration) string {
	var text strings.Builder
	fmt.Fprintf(&text, "imported %s in %.1f s (%s lines/s)\n", format.Printable(what), took.Seconds(), format.Thousands(int64(float64(c.Read)/max(took.Seconds(), 0.001))))
	type summaryRow struct {
		name  string
		count int64
	}
	rows := []summaryRow{
		{"read", c.Read},
		{"persisted", c.Persisted},
		{"already persisted", c.AlreadyPersisted},
		{"skipped (replays)", c.Skipped},
		{"rejected", c.Rejected},
	}
	if c.Newer > 0 {
		rows = append(rows, summaryRow{"newer format", c.Newer})
	}
	for _, row := range rows {
		fmt.Fprintf(&text, "  %-17s  %11s\n", row.name, format.Thousands(row.count))
	}
	return text.String()
}
