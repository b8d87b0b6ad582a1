package expiry

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
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
	signed     []byte
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
	const maxCheckpoint = 64 << 10
	if c.signed, err = readBounded(filepath.Join(dir, CheckpointFile), maxCheckpoint); err != nil {
		return nil, fmt.Errorf("%w: reading its checkpoint: %w", ErrArchive, err)
	}
	if digestOf(c.signed) != m.CheckpointSHA256 {
		return nil, damaged("its checkpoint is another one")
	}
	if c.checkpoint, err = sealer.OpenCheckpoint(c.signed, key); err != nil {
		return nil, fmt.Errorf("%w: its checkpoint: %w", ErrArchive, err)
	}
	if c.checkpoint.Origin != m.Origin || c.checkpoint.Size != m.Size || base64.StdEncoding.EncodeToString(c.checkpoint.Root[:]) != m.Root {
		return nil, damaged("its manifest names another checkpoint")
	}
	if err := c.readLines(ctx, dir, progress); err != nil {
		return nil, err
	}
	if seqs := completeness.Union(c.batches...); seqs[0].First != m.FirstSeq || seqs.Max() != m.LastSeq {
		return nil, damaged("its manifest names other seqs than its records have")
	}
	return c, nil
}

// packed reads the lines of a compressed file, and its SHA-256.
type packed struct {
	name  string
	file  *os.File
	raw   *bufio.Reader // of the file, hashed
	hash  hash.Hash
	lines *jsonl.Reader
}

func unpack(dir, name string) (*packed, error) {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("%w: opening %s: %w", ErrArchive, name, err)
	}
	p := &packed{name: name, file: file, hash: sha256.New()}
	p.raw = bufio.NewReaderSize(io.TeeReader(file, p.hash), pieceSize)
	zip, err := gzip.NewReader(p.raw)
	if err != nil {
		_ = file.Close() // it was only read
		return nil, damaged(name + " is no gzip file")
	}
	p.lines = jsonl.NewReader(zip)
	return p, nil
}

// next returns the next line, or io.EOF.
func (p *packed) next() ([]byte, error) {
	line, err := p.lines.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, damaged(fmt.Sprintf("%s cannot be read after line %d", p.name, p.lines.Number))
	case line.TooLong():
		return nil, damaged(fmt.Sprintf("line %d of %s is too long", line.Number, p.name))
	}
	return line.Text, nil
}

// ends requires that the file has no further lines, and is the one that the manifest names.
func (p *packed) ends(digest string) error {
	_, err := p.next()
	if err == nil {
		return damaged(p.name + " has more lines than the manifest says")
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := io.Copy(io.Discard, p.raw); err != nil {
		return fmt.Errorf("%w: reading %s: %w", ErrArchive, p.name, err)
	}
	if hex.EncodeToString(p.hash.Sum(nil)) != digest {
		return damaged(p.name + " is not the file that the manifest names")
	}
	return nil
}

// pair is a record and its proof, as their lines are.
type pair struct{ record, proof []byte }

// piece is what a worker proves at a time.
type piece struct {
	first int64 // the number of its first line
	pairs []pair
	seqs  []int64
}

func (c *checked) readLines(ctx context.Context, dir string, progress func(done, records int64)) error {
	records, err := unpack(dir, RecordsFile)
	if err != nil {
		return err
	}
	defer func() { _ = records.file.Close() }() // it was only read
	proofs, err := unpack(dir, ProofsFile)
	if err != nil {
		return err
	}
	defer func() { _ = proofs.file.Close() }() // it was only read

	pieces := newInOrder(c.prove, c.collector(progress))
	readErr := c.feed(ctx, records, proofs, pieces)
	if err := pieces.finish(); err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	return errors.Join(records.ends(c.manifest.RecordsSHA256), proofs.ends(c.manifest.ProofsSHA256))
}

// feed cuts the lines into pieces.
func (c *checked) feed(ctx context.Context, records, proofs *packed, to *inOrder[*piece]) error {
	const most = 512
	for line := int64(0); line < c.manifest.Records; {
		p := &piece{first: line + 1}
		for len(p.pairs) < most && line < c.manifest.Records {
			record, recordErr := records.next()
			proof, proofErr := proofs.next()
			if errors.Is(recordErr, io.EOF) || errors.Is(proofErr, io.EOF) {
				return damaged(fmt.Sprintf("it has %d records, and its manifest says %d", line, c.manifest.Records))
			}
			if err := errors.Join(recordErr, proofErr); err != nil {
				return err
			}
			p.pairs = append(p.pairs, pair{record: bytes.Clone(record), proof: bytes.Clone(proof)})
			line++
		}
		if err := to.send(p); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
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
	for i := range p.pairs {
		seq, err := c.proveOne(p.pairs[i])
		if err != nil {
			return fmt.Errorf("line %d: %w", p.first+int64(i), err)
		}
		p.seqs = append(p.seqs, seq)
	}
	p.pairs = nil
	return nil
}

// proveOne returns the seq of a record that its proof proves.
func (c *checked) proveOne(of pair) (seq int64, err error) {
	line, err := sealer.ParseProofLine(of.proof)
	if err != nil {
		return 0, damaged("its proof cannot be read")
	}
	proof, err := seal.ParseProof([]byte(line.Bundle))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if !bytes.Equal(proof.Checkpoint, c.signed) { // its signature was checked once
		return 0, damaged("its proof leads to another checkpoint")
	}
	leaf, err := proof.Row.Hash()
	if err == nil {
		err = seal.CheckInclusion(c.checkpoint.Size, c.checkpoint.Root, proof.Index, leaf, proof.Hashes)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: record %s: %w", ErrArchive, line.ProofOf, err)
	}
	proved, err := proof.Row.Record()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if !c.selection.Fits(proved) {
		return 0, damaged(fmt.Sprintf("record %s is not one that the filter of its manifest selects", line.ProofOf))
	}
	if same, err := recordLine(proved); err == nil && bytes.Equal(same, of.record) && proved.AuditID == line.ProofOf {
		return proved.Seq, nil
	}
	archived, _, err := audit.ParseRecord(of.record) // another release may write the same record in another way
	if err != nil || archived.AuditID != proved.AuditID || line.ProofOf != proved.AuditID || archived.Origin != proved.Origin || len(archived.DiffersIn(proved)) > 0 {
		return 0, damaged(fmt.Sprintf("record %s is not the one that its proof proves", line.ProofOf))
	}
	return proved.Seq, nil
}
