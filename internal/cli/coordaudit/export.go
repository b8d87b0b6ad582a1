package coordaudit

import (
	"context"
	"encoding/json"
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
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// exportTimeout bounds each page.
const exportTimeout = time.Minute

type exportCommand struct {
	Scope    scopeFlags  `embed:""`
	Window   windowFlags `embed:""`
	Out      string      `default:"-" placeholder:"FILE" help:"Where the records go. - is the standard output. A file takes its name once it is complete."`
	Manifest string      `placeholder:"FILE" help:"Where to write what was exported, as one JSON object: count, first and last seq, SHA-256, scope and window. It is written last."`
}

// Validate is called by kong.
func (c *exportCommand) Validate() error {
	errs := []error{c.Scope.Validate()}
	if c.Out == "" {
		errs = append(errs, errors.New("--out is empty; give a path, or - for the standard output"))
	}
	if c.Manifest == "-" {
		errs = append(errs, errors.New("--manifest must be a file: the standard output is for records"))
	}
	return together(errs...)
}

// Run is called by kong.
func (c *exportCommand) Run(ctx context.Context, p *cli.Program, db *database) error {
	now := time.Now()
	window, err := c.Window.window(now)
	if err != nil {
		return err
	}
	q := audit.Query{Scope: c.Scope.scope(), Window: window, Order: audit.OldestFirst}
	tried := fmt.Sprintf("exporting the audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return readFailed(tried, err)
	}
	if err := c.apart(tried, p.Stdout); err != nil {
		return err
	}
	if err := p.MustHaveStdout(tried, c.Out); err != nil {
		return err
	}
	store, err := db.open(ctx, tried, exportTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	to, err := c.targets(p.Stdout)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err, Next: "name another file, or use - and a redirection"}
	}
	defer to.discard()

	ex := newExporter(to.records)
	if c.Out != "-" || !term.IsTerminal(p.Stdout) {
		ex.progress = term.NewProgress(p.Stderr, 0)
	}
	err = ex.run(ctx, store, q, tried)
	ex.progress.Clear()
	if err == nil {
		err = to.finish(ex.manifest(q))
	}
	if err != nil {
		return c.stopped(ctx, tried, err)
	}
	if ex.count == 0 {
		p.Hint(outside(ctx, store, q.Scope, window, now))
	}
	p.Warn("exported %s, %s for %s, %s, to %s", format.Plural(ex.count, "record"), format.Plural(ex.bytes, "byte"), format.Folded(q.Scope.String()), format.Window(window), jsonl.OutputName(c.Out))
	return nil
}

// apart refuses the same file for both, also under two names.
func (c *exportCommand) apart(tried string, stdout io.Writer) error {
	if c.Manifest == "" {
		return nil
	}
	same := false
	if c.Out == "-" {
		file, isFile := stdout.(*os.File)
		same = isFile && jsonl.SameFile(c.Manifest, file)
	} else {
		out, outErr := jsonl.BehindLinks(c.Out)
		manifest, manifestErr := jsonl.BehindLinks(c.Manifest)
		same = filepath.Clean(c.Out) == filepath.Clean(c.Manifest) || (outErr == nil && manifestErr == nil && jsonl.SamePlace(out, manifest))
	}
	if same {
		return cli.Usage(tried, errors.New("--out and --manifest are the same file"), "name two files")
	}
	return nil
}

// stopped reports an export that failed. It leaves no file behind.
func (c *exportCommand) stopped(ctx context.Context, tried string, err error) error {
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

// exportTargets is where an export goes.
type exportTargets struct {
	records  jsonl.Output
	manifest *jsonl.File // nil if none is asked for
}

// targets creates both files, so that one that cannot be written fails before a long export
// and not after it.
func (c *exportCommand) targets(stdout io.Writer) (to *exportTargets, err error) {
	to = &exportTargets{}
	if to.records, err = jsonl.NewOutput(c.Out, jsonl.Records, stdout); err != nil {
		return nil, fmt.Errorf("making %s: %w", c.Out, err)
	}
	if c.Manifest != "" {
		if to.manifest, err = jsonl.Create(c.Manifest, jsonl.Manifest); err != nil {
			to.discard()
			return nil, fmt.Errorf("making %s: %w", c.Manifest, err)
		}
	}
	return to, nil
}

// finish completes both files before either takes its name. The manifest, which vouches for
// the other, comes last.
func (t *exportTargets) finish(manifest exportManifest) error {
	if err := t.records.Complete(); err != nil {
		return fmt.Errorf("writing the records: %w", err)
	}
	if t.manifest != nil {
		if err := errors.Join(json.NewEncoder(t.manifest).Encode(manifest), t.manifest.Complete()); err != nil {
			return fmt.Errorf("writing the manifest: %w", err)
		}
	}
	if err := t.records.Publish(); err != nil {
		return fmt.Errorf("writing %s: %w", t.records.Path, err)
	}
	if t.manifest == nil {
		return nil
	}
	if err := t.manifest.Publish(); err != nil {
		return fmt.Errorf("writing %s: %w", t.manifest.Path, err)
	}
	return nil
}

func (t *exportTargets) discard() {
	t.records.Discard()
	if t.manifest != nil {
		t.manifest.Discard()
	}
}
