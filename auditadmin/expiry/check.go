package expiry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// CheckArchive proves every record of an archive, without a database: each file is what the
// manifest says, each record is the one that its proof proves, and the proofs lead to the
// checkpoint, which the key has signed. The error matches [ErrArchive], or one of package seal.
func CheckArchive(ctx context.Context, dir string, key note.Verifier, progress func(done, records int64)) (Manifest, error) {
	c, err := checkArchive(ctx, dir, key, progress)
	if err != nil {
		return Manifest{}, fmt.Errorf("checking the archive %s: %w", audit.Printable(dir), err)
	}
	return *c.manifest, nil
}

// checked is an archive whose records are proved.
type checked struct {
	manifest   *Manifest
	checkpoint seal.Checkpoint
	selection  sealdriver.Selection
	batches    []completeness.Set // the seqs of each batch
}

func checkArchive(ctx context.Context, dir string, key note.Verifier, progress func(done, records int64)) (*checked, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	c := &checked{manifest: m}
	if c.selection, err = m.selection(); err != nil {
		return nil, err
	}
	signed, err := readCheckpoint(dir, m)
	if err != nil {
		return nil, err
	}
	if c.checkpoint, err = sealer.OpenCheckpoint(signed, key); err != nil {
		return nil, fmt.Errorf("%w: its checkpoint: %w", ErrArchive, err)
	}
	if err := m.names(c.checkpoint); err != nil {
		return nil, err
	}
	if err := c.readLines(ctx, dir, progress); err != nil {
		return nil, err
	}
	if m.seqs = completeness.Union(c.batches...); m.seqs[0].First != m.FirstSeq || m.seqs.Max() != m.LastSeq {
		return nil, damaged("its manifest names other seqs than its records have")
	}
	return c, nil
}

// piece is what a worker proves at a time.
type piece struct {
	lines []*provenLines
	seqs  []int64
}

// checkingQueue are the pieces that may wait for a worker.
const checkingQueue = 4

func (c *checked) readLines(ctx context.Context, dir string, progress func(done, records int64)) error {
	lines, err := openLines(dir, c.manifest)
	if err != nil {
		return err
	}
	defer lines.close()
	pieces := newInOrder(checkingQueue, c.prove, c.collector(progress))
	readErr := lines.feed(ctx, pieces)
	if err := pieces.finish(); err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	return lines.end()
}

// collector gathers the seqs of the batches from the pieces.
func (c *checked) collector(progress func(done, records int64)) func(*piece) error {
	batch, left, done := 0, int64(0), int64(0)
	c.batches = make([]completeness.Set, len(c.manifest.Batches))
	return func(p *piece) error {
		for _, seq := range p.seqs {
			if left == 0 {
				left = c.manifest.Batches[batch]
				batch++
			}
			c.batches[batch-1].Add(seq, seq)
			left--
		}
		done += int64(len(p.seqs))
		if progress != nil {
			progress(done, c.manifest.Records)
		}
		return nil
	}
}

func (c *checked) prove(p *piece) error {
	var hasher seal.Hasher
	for _, lines := range p.lines {
		records, _, err := proveLines(&hasher, lines, c.checkpoint)
		if err != nil {
			return err
		}
		for i := range records {
			if !c.selection.Fits(records[i]) {
				return damaged(fmt.Sprintf("line %d: record %s is not one that the filter of its manifest selects", lines.first+int64(i), records[i].AuditID))
			}
			p.seqs = append(p.seqs, records[i].Seq)
		}
	}
	p.lines = nil
	return nil
}

// proveLines returns the records of some lines, which their proof proves, and their leaves.
func proveLines(hasher *seal.Hasher, lines *provenLines, checkpoint seal.Checkpoint) ([]audit.Record, []seal.Hash, error) {
	records, leaves, err := lines.leaves(hasher)
	if err != nil {
		return nil, nil, err
	}
	if err := lines.proof.Check(checkpoint.Size, checkpoint.Root, leaves); err != nil {
		what := "they are not all records"
		if len(records) == 1 {
			what = fmt.Sprintf("record %s is not the one", records[0].AuditID)
		}
		return nil, nil, fmt.Errorf("%w: %s of %s: %s that line %d of %s proves: %w: take an intact copy, or archive again",
			ErrArchive, lines.where(), RecordsFile, what, lines.proofLine, ProofsFile, err)
	}
	return records, leaves, nil
}

// leaves returns the records of the lines, and the hashes of their rows.
func (p *provenLines) leaves(hasher *seal.Hasher) ([]audit.Record, []seal.Hash, error) {
	records, leaves := make([]audit.Record, len(p.ends)), make([]seal.Hash, len(p.ends))
	for i := range leaves {
		rec, row, err := rowOf(&p.proof.Rows[i], p.line(i))
		if err == nil {
			leaves[i], err = hasher.Hash(row)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: line %d: %w: take an intact copy, or archive again", ErrArchive, p.first+int64(i), err)
		}
		records[i] = rec
	}
	return records, leaves, nil
}

// rowOf returns the row of a record's line, which is to be proved, and the record of that row.
func rowOf(of *seal.ArchivedRow, line []byte) (audit.Record, seal.Row, error) {
	rec, replay, err := audit.ParseRecord(line)
	if of.Carried == nil {
		if err == nil && replay {
			err = errors.New("it asks for a replay, and so would not be stored again")
		}
		if err != nil {
			return audit.Record{}, seal.Row{}, fmt.Errorf("its record cannot be read: %w", err)
		}
		rec.Seq, rec.CreatedAt = of.Seq, of.CreatedAt
		return rec, of.Row(rec), nil
	}
	carried, rowErr := of.Carried.Record()
	if rowErr != nil {
		return audit.Record{}, seal.Row{}, rowErr
	}
	if same, err := recordLine(carried); err == nil && bytes.Equal(same, line) {
		return carried, *of.Carried, nil
	}
	// Another release may write the same record in another way.
	if err != nil || replay || rec.AuditID != carried.AuditID || rec.Origin != carried.Origin || len(rec.DiffersIn(carried)) > 0 {
		return audit.Record{}, seal.Row{}, fmt.Errorf("record %s is not the one that its proof carries", carried.AuditID)
	}
	return carried, *of.Carried, nil
}
