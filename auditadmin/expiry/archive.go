package expiry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// DefaultBatch is how many records expire in one transaction.
const DefaultBatch = 4096

// ArchiveConfig says what to archive and where.
type ArchiveConfig struct {
	Filter Filter

	// Dir is the directory of the archive. It must not exist. It takes its name once the
	// archive is complete and on disk.
	Dir string

	// ExceptHeld leaves out the records that holds name. Without it they are a refusal.
	ExceptHeld bool

	// Batch is how many records expire in one transaction, at most. Defaults to
	// [DefaultBatch].
	Batch int64

	// Software names the program and its version, for the manifest.
	Software string

	// Progress is called now and then with the records that are archived, and those that were
	// planned. It may be nil.
	Progress func(done, planned int64)
}

// Archive writes the records of a filter that are in full tiles of the checkpoint, with their
// proofs. It changes nothing in the database.
func Archive(ctx context.Context, config Config, a ArchiveConfig) (Manifest, error) {
	m, err := archive(ctx, config, a)
	if err != nil {
		return Manifest{}, fmt.Errorf("archiving to %s: %w", audit.Printable(a.Dir), explained(err))
	}
	return *m, nil
}

func archive(ctx context.Context, config Config, a ArchiveConfig) (*Manifest, error) {
	if err := a.Filter.validate(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(a.Dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already: name a new directory", audit.Printable(a.Dir))
	}
	s, err := open(ctx, config, sealdriver.Expirer)
	if err != nil {
		return nil, err
	}
	plan, err := s.plan(ctx, a.Filter)
	s.close(ctx)
	switch {
	case err != nil:
		return nil, err
	case plan.Held > 0 && !a.ExceptHeld:
		return nil, fmt.Errorf("%w: %d of %d: release the hold, narrow the filter, or leave them out (--except-held)", ErrHeld, plan.Held, plan.Records)
	case plan.Records == plan.Held || plan.Records == plan.Unsealed:
		return nil, fmt.Errorf("%w: the filter selects %d records, of which %d are held and %d are in no full tile of the checkpoint", ErrNothing, plan.Records, plan.Held, plan.Unsealed)
	}
	w, err := newWriter(config, a, plan)
	if err != nil {
		return nil, err
	}
	defer w.discard()
	err = sealer.ProveSelected(ctx, config.Pool, sealer.SelectConfig{
		Checkpoint: config.Checkpoint, Verifier: config.Verifier, Schema: config.Schema,
		Scope: a.Filter.Scope, Classes: a.Filter.Classes, Before: a.Filter.Before,
	}, w.lines.add)
	if err != nil {
		return nil, err
	}
	return w.finish(s)
}

// writer writes an archive next to the place of the final one.
type writer struct {
	config          Config
	a               ArchiveConfig
	planned         int64
	dir             string
	records, proofs *stream
	closed          bool
	lines           *encoding
	cut             cutter
	manifest        Manifest
}

func newWriter(config Config, a ArchiveConfig, plan Plan) (w *writer, err error) {
	if a.Batch <= 0 {
		a.Batch = DefaultBatch
	}
	w = &writer{config: config, a: a, planned: plan.Records, cut: cutter{most: a.Batch}}
	above := filepath.Dir(filepath.Clean(a.Dir))
	if w.dir, err = os.MkdirTemp(above, "."+filepath.Base(a.Dir)+".*.part"); err != nil { // mode 0700
		return nil, fmt.Errorf("making the archive: %w", err)
	}
	if w.records, err = newStream(filepath.Join(w.dir, RecordsFile)); err == nil {
		w.proofs, err = newStream(filepath.Join(w.dir, ProofsFile))
	}
	if err != nil {
		w.discard()
		return nil, fmt.Errorf("making the archive: %w", err)
	}
	w.manifest.FirstSeq, w.manifest.LastSeq = math.MaxInt64, math.MinInt64
	w.lines = newEncoding(w.write)
	return w, nil
}

func (w *writer) discard() {
	if w.lines != nil {
		_ = w.lines.finish() // the first error is the cause
	}
	if !w.closed {
		for _, s := range []*stream{w.records, w.proofs} {
			if s != nil {
				_, _ = s.close() // it is removed
			}
		}
	}
	_ = os.RemoveAll(w.dir) // nothing is there once it has its name
}

// write is called in the order of the log, on one goroutine until the lines are finished.
func (w *writer) write(made *encoded) {
	w.records.lines(made.records)
	w.proofs.lines(made.proofs)
	m := &w.manifest
	for i := range made.made {
		rec := &made.made[i]
		m.Records++
		m.FirstSeq, m.LastSeq = min(m.FirstSeq, rec.Seq), max(m.LastSeq, rec.Seq)
		if w.cut.add(rec) || len(m.Batches) == 0 {
			m.Batches = append(m.Batches, 0)
		}
		m.Batches[len(m.Batches)-1]++
	}
	if w.a.Progress != nil {
		w.a.Progress(m.Records, w.planned)
	}
}

// finish completes the files, writes the manifest, and gives the directory its name.
func (w *writer) finish(s *session) (*Manifest, error) {
	if err := w.lines.finish(); err != nil {
		return nil, err
	}
	var recordsErr, proofsErr error
	m := &w.manifest
	m.RecordsSHA256, recordsErr = w.records.close()
	m.ProofsSHA256, proofsErr = w.proofs.close()
	w.closed = true
	if err := errors.Join(recordsErr, proofsErr); err != nil {
		return nil, fmt.Errorf("writing the archive: %w", err)
	}
	if m.Records == 0 {
		return nil, fmt.Errorf("%w: no selected record is in a full tile of the checkpoint", ErrNothing)
	}
	selection := w.a.Filter.selection()
	m.Format, m.Software, m.MadeAt = manifestFormat, w.a.Software, audit.FormatTime(time.Now())
	checkpoint, err := sealer.OpenCheckpoint(w.config.Checkpoint, w.config.Verifier)
	if err != nil {
		return nil, err
	}
	m.Origin, m.Size, m.Root = checkpoint.Origin, checkpoint.Size, base64.StdEncoding.EncodeToString(s.at.Root[:])
	m.EveryTenant, m.TenantID, m.Classes = selection.EveryTenant, selection.TenantID, append([]string{}, selection.Classes...)
	m.Before, m.CheckpointSHA256 = audit.FormatTime(selection.Before), digestOf(w.config.Checkpoint)
	text, err := m.marshal()
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{CheckpointFile: w.config.Checkpoint, ManifestFile: text} {
		if err := writeFile(filepath.Join(w.dir, name), content); err != nil {
			return nil, fmt.Errorf("writing the archive: %w", err)
		}
	}
	disk := durable.OS{}
	if err := disk.SyncDir(w.dir); err != nil {
		return nil, fmt.Errorf("writing the archive: %w", err)
	}
	if err := os.Rename(w.dir, w.a.Dir); err != nil {
		return nil, fmt.Errorf("naming the archive: %w", err)
	}
	if err := disk.SyncDir(filepath.Dir(filepath.Clean(w.a.Dir))); err != nil {
		return nil, fmt.Errorf("naming the archive: %w", err)
	}
	return m, nil
}

func writeFile(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, durable.SyncFile(file), file.Close())
}

// cutter cuts batches whose event is not too long: it lists the seqs and the ordinals.
type cutter struct {
	most    int64
	records int64
	cost    int
	last    int64
	sources map[uuid.UUID]int64
}

// maxCost leaves room for the rest of an event, which has 64 KiB.
const maxCost = 48 << 10

// add reports whether a record begins another batch.
func (c *cutter) add(rec *audit.Record) (begins bool) {
	cost := c.costOf(rec)
	if c.records == c.most || c.records > 0 && c.cost+cost > maxCost {
		most := c.most
		*c = cutter{most: most}
		cost, begins = c.costOf(rec), true
	}
	if c.sources == nil {
		c.sources = map[uuid.UUID]int64{}
	}
	c.records++
	c.cost += cost
	c.last = rec.Seq
	if rec.Origin.SourceSeq != 0 {
		c.sources[rec.Origin.SourceID] = rec.Origin.SourceSeq
	}
	return begins
}

func (c *cutter) costOf(rec *audit.Record) (cost int) {
	if c.records == 0 || rec.Seq != c.last+1 {
		cost += rangeCost(rec.Seq)
	}
	if rec.Origin.SourceSeq == 0 {
		return cost
	}
	last, known := c.sources[rec.Origin.SourceID]
	if !known {
		const source = 48 // its id and what stands around it
		cost += source
	}
	if !known || rec.Origin.SourceSeq != last+1 {
		cost += rangeCost(rec.Origin.SourceSeq)
	}
	return cost
}

// rangeCost is the length of [first,end), with a number that may be a digit longer.
func rangeCost(first int64) int { return 2*len(strconv.FormatInt(first, 10)) + 6 }
