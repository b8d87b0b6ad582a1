package expiry

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/hoc-analytics/coordaudit/internal/jsonl"
	"github.com/hoc-analytics/coordaudit/seal"
)

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

// provenLines are the lines of the records that one line of the proofs is about.
type provenLines struct {
	proof     seal.RecordsProof
	proofLine int64 // its number
	first     int64 // the number of the first record's line
	text      []byte
	ends      []int // of each line in text
}

// line returns the line of the record that Rows[i] is about.
func (p *provenLines) line(i int) []byte {
	start := 0
	if i > 0 {
		start = p.ends[i-1]
	}
	return p.text[start:p.ends[i]]
}

// where names the lines of the records.
func (p *provenLines) where() string {
	if last := p.first + int64(len(p.ends)) - 1; last > p.first {
		return fmt.Sprintf("lines %d to %d", p.first, last)
	}
	return fmt.Sprintf("line %d", p.first)
}

// archiveLines reads the records and the proofs of an archive side by side.
type archiveLines struct {
	manifest        *Manifest
	records, proofs *packed
	read            int64 // records
	lastTile        int64
	lastPlace       int // of lastTile
}

func openLines(dir string, m *Manifest) (*archiveLines, error) {
	records, err := unpack(dir, RecordsFile)
	if err != nil {
		return nil, err
	}
	proofs, err := unpack(dir, ProofsFile)
	if err != nil {
		_ = records.file.Close() // it was only read
		return nil, err
	}
	return &archiveLines{manifest: m, records: records, proofs: proofs, lastPlace: -1}, nil
}

func (a *archiveLines) close() {
	for _, file := range []*packed{a.records, a.proofs} {
		_ = file.file.Close() // it was only read
	}
}

// more reports whether records are left, by the manifest.
func (a *archiveLines) more() bool { return a.read < a.manifest.Records }

// next returns the next line of proofs with its records.
func (a *archiveLines) next() (*provenLines, error) {
	line, err := a.proofs.next()
	if err != nil {
		return nil, a.ended(err)
	}
	p := &provenLines{proofLine: a.proofs.lines.Number, first: a.read + 1}
	if p.proof, err = seal.ParseRecordsProof(line); err != nil {
		return nil, fmt.Errorf("%w: line %d of %s: %w: take an intact copy, or archive again", ErrArchive, p.proofLine, ProofsFile, err)
	}
	if err := a.ascends(p); err != nil {
		return nil, err
	}
	p.ends = make([]int, 0, len(p.proof.Rows))
	for range p.proof.Rows {
		record, err := a.records.next()
		if err != nil {
			return nil, a.ended(err)
		}
		p.text = append(p.text, record...)
		p.ends = append(p.ends, len(p.text))
	}
	a.read += int64(len(p.ends))
	if a.read > a.manifest.Records {
		return nil, damaged(fmt.Sprintf("it has more than the %d records that its manifest says", a.manifest.Records))
	}
	return p, nil
}

func (a *archiveLines) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return damaged(fmt.Sprintf("it has %d records, and its manifest says %d", a.read, a.manifest.Records))
	}
	return err
}

// ascends requires that no leaf is proved twice, and that all are in the order of the log.
func (a *archiveLines) ascends(p *provenLines) error {
	for place := range p.proof.Places.All() {
		if p.proof.Tile < a.lastTile || p.proof.Tile == a.lastTile && int(place) <= a.lastPlace {
			return damaged(fmt.Sprintf("line %d of %s proves leaf %d of tile %d, which does not come after those before it", p.proofLine, ProofsFile, place, p.proof.Tile))
		}
		a.lastTile, a.lastPlace = p.proof.Tile, int(place)
	}
	return nil
}

// end requires that both files end, and are those that the manifest names.
func (a *archiveLines) end() error {
	return errors.Join(a.records.ends(a.manifest.RecordsSHA256), a.proofs.ends(a.manifest.ProofsSHA256))
}

// feed cuts the lines into pieces for the workers. They get those before a fault as well, and so the
// first fault is the one that is named.
func (a *archiveLines) feed(ctx context.Context, to *inOrder[*piece]) error {
	for a.more() {
		p := &piece{}
		var readErr error
		for records := 0; records < pieceRecords && a.more(); {
			var lines *provenLines
			if lines, readErr = a.next(); readErr != nil {
				break
			}
			p.lines = append(p.lines, lines)
			records += len(lines.ends)
		}
		if err := to.send(p); err != nil {
			return err
		}
		if readErr != nil {
			return readErr
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
