package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// exportTargets is where an export goes.
type exportTargets struct {
	records          jsonl.Output
	manifest, proofs *jsonl.File // nil if none is asked for
}

// targets creates the files, so that one that cannot be written fails before a long export
// and not after it.
func (c *Export) targets(stdout io.Writer, kind jsonl.Kind) (to *exportTargets, err error) {
	to = &exportTargets{}
	if to.records, err = jsonl.NewOutput(c.Out, kind, stdout); err != nil {
		return nil, fmt.Errorf("making %s: %w", c.Out, err)
	}
	for _, file := range []struct {
		path string
		kind jsonl.Kind
		to   **jsonl.File
	}{{c.Proofs, jsonl.Proofs, &to.proofs}, {c.Manifest, jsonl.Manifest, &to.manifest}} {
		if file.path == "" {
			continue
		}
		if *file.to, err = jsonl.Create(file.path, file.kind); err != nil {
			to.discard()
			return nil, fmt.Errorf("making %s: %w", file.path, err)
		}
	}
	return to, nil
}

// finish completes all files before one takes its name. The manifest, which vouches for the
// records, comes last.
func (t *exportTargets) finish(manifest ExportManifest) error {
	if err := t.records.Complete(); err != nil {
		return fmt.Errorf("writing the records: %w", err)
	}
	if t.proofs != nil {
		if err := t.proofs.Complete(); err != nil {
			return fmt.Errorf("writing the proofs: %w", err)
		}
	}
	if t.manifest != nil {
		if err := errors.Join(json.NewEncoder(t.manifest).Encode(manifest), t.manifest.Complete()); err != nil {
			return fmt.Errorf("writing the manifest: %w", err)
		}
	}
	if err := t.records.Publish(); err != nil {
		return fmt.Errorf("writing %s: %w", t.records.Path, err)
	}
	for _, file := range []*jsonl.File{t.proofs, t.manifest} {
		if file == nil {
			continue
		}
		if err := file.Publish(); err != nil {
			return fmt.Errorf("writing %s: %w", file.Path, err)
		}
	}
	return nil
}

func (t *exportTargets) discard() {
	t.records.Discard()
	for _, file := range []*jsonl.File{t.proofs, t.manifest} {
		if file != nil {
			file.Discard()
		}
	}
}
