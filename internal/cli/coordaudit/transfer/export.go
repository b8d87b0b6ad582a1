package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// exportTimeout bounds each page.
const exportTimeout = time.Minute

// Export is the command export.
type Export struct {
	Scope    shared.ScopeFlags  `embed:""`
	Window   shared.WindowFlags `embed:""`
	Filters  shared.FilterFlags `embed:""`
	Format   string             `enum:"jsonl,csv,cloudevents" default:"jsonl" placeholder:"FORMAT" help:"jsonl (what import reads), csv (RFC 4180, with a header, for people and spreadsheets) or cloudevents (1.0, one a line)."`
	Source   string             `name:"event-source" default:"coordaudit" placeholder:"URI" help:"The source of the CloudEvents."`
	Out      string             `default:"-" placeholder:"FILE" help:"Where the records go. - is the standard output. A file takes its name once it is complete."`
	Manifest string             `placeholder:"FILE" help:"Where to write what was exported, as one JSON object: count, first and last seq, SHA-256, scope and window. It is written last."`
	Proofs   string             `placeholder:"FILE" help:"Where to write a proof of each record that is sealed, as JSON Lines. coordaudit verify bundle checks them without a database."`
	Under    shared.ProofFlags  `embed:"" set:"proven=the records"`
}

// Validate is called by kong.
func (c *Export) Validate() error {
	errs := []error{c.Scope.Validate(), c.Filters.Validate(), shared.CheckEventSource(c.Source)}
	if c.Out == "" {
		errs = append(errs, errors.New("--out is empty; give a path, or - for the standard output"))
	}
	if c.Manifest == "-" {
		errs = append(errs, errors.New("--manifest must be a file: the standard output is for records"))
	}
	if c.Proofs == "-" {
		errs = append(errs, errors.New("--proofs must be a file: the standard output is for records"))
	}
	if c.Under.Checkpoint != "" && c.Proofs == "" {
		errs = append(errs, errors.New("--checkpoint needs --proofs: it is what they lead to"))
	}
	return shared.Together(errs...)
}

// Run is called by kong.
func (c *Export) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	now := time.Now()
	window, err := c.Window.Window(now)
	if err != nil {
		return err
	}
	q := audit.Query{Scope: c.Scope.Scope(), Window: window, Order: audit.OldestFirst}
	if err := c.Filters.Set(&q); err != nil {
		return err
	}
	tried := fmt.Sprintf("exporting the audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return shared.ReadFailed(tried, err)
	}
	if err := c.apart(tried, p.Stdout); err != nil {
		return err
	}
	if err := p.MustHaveStdout(tried, c.Out); err != nil {
		return err
	}
	log, err := c.Under.Load(ctx, tried)
	if err != nil {
		return err
	}
	store, err := db.Open(ctx, tried, exportTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	form := c.form(p.Stdout)
	to, err := c.targets(p.Stdout, form.kind)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err, Next: "name another file, or use - and a redirection"}
	}
	defer to.discard()

	ex := newExporter(to.records, form)
	if to.proofs != nil {
		if ex.prover, err = openProver(ctx, db, log, to.proofs, tried); err != nil {
			return err
		}
		defer ex.prover.close(ctx)
	}
	if c.Out != "-" || !term.IsTerminal(p.Stdout) {
		ex.progress = p.Progress(tried)
	}
	err = ex.run(ctx, store, q, tried)
	ex.progress.Stop()
	if err == nil {
		err = to.finish(ex.manifest(q))
	}
	if err != nil {
		return c.stopped(ctx, tried, err)
	}
	if ex.count == 0 && len(filtersOf(q)) == 0 {
		p.Hint(shared.Outside(ctx, store, q.Scope, window, now))
	}
	c.report(p, ex, q)
	return nil
}

// report says what was exported, on the standard error.
func (c *Export) report(p *cli.Program, ex *exporter, q audit.Query) {
	if ex.prover != nil && ex.prover.unsealed > 0 {
		p.Warn("%s", ex.prover.without())
	}
	p.Warn("exported %s, %s for %s, %s, to %s", format.Plural(ex.count, "record"), format.Plural(ex.bytes, "byte"), format.Folded(q.Scope.String()), format.Window(q.Window), jsonl.OutputName(c.Out))
}

// apart refuses the same file for two of them, also under two names.
func (c *Export) apart(tried string, stdout io.Writer) error {
	files := []struct{ flag, path string }{{"--out", c.Out}, {"--manifest", c.Manifest}, {"--proofs", c.Proofs}, {"--checkpoint", c.Under.Checkpoint}}
	for i, one := range files {
		for _, other := range files[i+1:] {
			if one.path != "" && other.path != "" && sameOutput(one.path, other.path, stdout) {
				return cli.Usage(tried, fmt.Errorf("%s and %s are the same file", one.flag, other.flag), "name two files")
			}
		}
	}
	return nil
}

// sameOutput compares an output, which may be the standard output, with a file.
func sameOutput(out, file string, stdout io.Writer) bool {
	if out == "-" {
		standard, isFile := stdout.(*os.File)
		return isFile && jsonl.SameFile(file, standard)
	}
	one, oneErr := jsonl.BehindLinks(out)
	other, otherErr := jsonl.BehindLinks(file)
	return filepath.Clean(out) == filepath.Clean(file) || oneErr == nil && otherErr == nil && jsonl.SamePlace(one, other)
}

// stopped reports an export that failed. It leaves no file behind.
func (c *Export) stopped(ctx context.Context, tried string, err error) error {
	next := []string{"run the same command again, no file was written"}
	if c.Out == "-" {
		next[0] = "run the same command again, what was written is incomplete"
	}
	switch shown, said := errors.AsType[*cli.ShownError](err); {
	case ctx.Err() != nil:
		err = cli.ErrInterrupted
	case c.Out == "-" && errors.Is(err, syscall.EPIPE):
		return cli.ErrPipeClosed
	case said && shown.Next != "":
		err, next = shown.Cause, append([]string{shown.Next}, next...)
	case said:
		err = shown.Cause
	}
	return &cli.ShownError{Tried: tried, Cause: err, Next: strings.Join(next, "; ")}
}
