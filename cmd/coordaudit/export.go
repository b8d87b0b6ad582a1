package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// exportTimeout bounds each page.
const exportTimeout = time.Minute

type exportCommand struct {
	Scope    scopeFlags  `embed:""`
	Window   windowFlags `embed:""`
	Out      string      `default:"-" placeholder:"FILE" help:"Where the records go; - is the standard output. A file takes its name once it is complete."`
	Manifest string      `placeholder:"FILE" help:"Where to say, once all is written, what was: count, first and last seq, SHA-256, scope and window, as one JSON object."`
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
func (c *exportCommand) Run(ctx context.Context, p *program, db *database) error {
	window, err := c.Window.window(time.Now())
	if err != nil {
		return err
	}
	q := audit.Query{Scope: c.Scope.scope(), Window: window, Order: audit.OldestFirst}
	tried := fmt.Sprintf("exporting the audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return readFailed(tried, err)
	}
	if err := c.apart(tried, p.stdout); err != nil {
		return err
	}
	store, err := db.open(ctx, tried, exportTimeout)
	if err != nil {
		return err
	}
	defer store.Close()
	to, err := c.targets(p.stdout)
	if err != nil {
		return &failure{tried: tried, cause: err, next: "name another file, or use - and a redirection"}
	}
	defer to.discard()

	ex := newExporter(to.records)
	if c.Out != "-" || !isTerminal(p.stdout) {
		ex.progress = newProgress(p.stderr, 0)
	}
	err = ex.run(ctx, store, q, tried)
	ex.progress.clear()
	if err == nil {
		err = to.finish(ex.manifest(q))
	}
	if err != nil {
		return c.stopped(ctx, tried, err)
	}
	p.warn("exported %s, %s for %s, %s, to %s", plural(ex.count, "record"), plural(ex.bytes, "byte"), folded(q.Scope.String()), windowText(window), outputName(c.Out))
	return nil
}

// apart refuses one file for both, under whatever names.
func (c *exportCommand) apart(tried string, stdout io.Writer) error {
	if c.Manifest == "" {
		return nil
	}
	same := false
	if c.Out == "-" {
		file, isFile := stdout.(*os.File)
		same = isFile && sameFile(c.Manifest, file)
	} else {
		out, outErr := behindLinks(c.Out)
		manifest, manifestErr := behindLinks(c.Manifest)
		same = filepath.Clean(c.Out) == filepath.Clean(c.Manifest) || (outErr == nil && manifestErr == nil && samePlace(out, manifest))
	}
	if same {
		return usage(tried, errors.New("--out and --manifest are the same file"), "name two files")
	}
	return nil
}

// samePlace reports whether two paths lead to one place.
func samePlace(a, b string) bool {
	a, aErr := filepath.Abs(a)
	b, bErr := filepath.Abs(b)
	if aErr == nil && bErr == nil && a == b {
		return true
	}
	infoA, aErr := os.Stat(a)
	infoB, bErr := os.Stat(b)
	return aErr == nil && bErr == nil && os.SameFile(infoA, infoB)
}

// stopped reports an export of which nothing is left but what went to the
// standard output.
func (c *exportCommand) stopped(ctx context.Context, tried string, err error) error {
	next := []string{"run the same command again, no file was written"}
	if c.Out == "-" {
		next[0] = "run the same command again, what was written is not all"
	}
	switch shown, said := errors.AsType[*failure](err); {
	case ctx.Err() != nil:
		err = errInterrupted
	case said && shown.next != "":
		err, next = shown.cause, append([]string{shown.next}, next...)
	case said:
		err = shown.cause
	}
	return &failure{tried: tried, cause: err, next: strings.Join(next, "; ")}
}

// exportTargets is where an export goes.
type exportTargets struct {
	records  output
	manifest *wholeFile // nil if none is asked for
}

// targets begins both files, so that one that cannot be is known of before a
// long export and not after it.
func (c *exportCommand) targets(stdout io.Writer) (to *exportTargets, err error) {
	to = &exportTargets{}
	if to.records, err = newOutput(c.Out, stdout); err != nil {
		return nil, fmt.Errorf("making %s: %w", c.Out, err)
	}
	if c.Manifest != "" {
		if to.manifest, err = newWholeFile(c.Manifest); err != nil {
			to.discard()
			return nil, fmt.Errorf("making %s: %w", c.Manifest, err)
		}
	}
	return to, nil
}

// finish completes both files before either gets its name; the manifest, which
// vouches for the other, is last.
func (t *exportTargets) finish(manifest exportManifest) error {
	if err := t.records.complete(); err != nil {
		return fmt.Errorf("writing the records: %w", err)
	}
	if t.manifest != nil {
		if err := errors.Join(json.NewEncoder(t.manifest).Encode(manifest), t.manifest.complete()); err != nil {
			return fmt.Errorf("writing the manifest: %w", err)
		}
	}
	if err := t.records.publish(); err != nil {
		return fmt.Errorf("writing %s: %w", t.records.path, err)
	}
	if t.manifest == nil {
		return nil
	}
	if err := t.manifest.publish(); err != nil {
		return fmt.Errorf("writing %s: %w", t.manifest.path, err)
	}
	return nil
}

func (t *exportTargets) discard() {
	t.records.discard()
	if t.manifest != nil {
		t.manifest.discard()
	}
}
