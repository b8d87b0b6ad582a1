package sealer

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// readRecords reads the records between the first and the last seq of the part, and matches
// them with the leaves that are in the order of seq.
func (p *part) readRecords(ctx context.Context) error {
	inOrder := p.inOrder()
	if len(inOrder) == 0 {
		return nil
	}
	first := p.before + 1
	if p.before == 0 {
		first = minSeq
	}
	var extra []Finding
	var extraHashes []seal.Hash
	type row struct {
		seq int64
		id  uuid.UUID
	}
	var before row
	rows, at := 0, 0
	err := p.conn.Rows(ctx, seal.Record, first, p.leaves[inOrder[len(inOrder)-1]].seq, func(values [][]byte) error {
		found, seq, err := hashRow(&p.hasher, seal.Record, values)
		if err != nil {
			return err
		}
		this := row{seq: seq, id: found.id}
		rows++
		again := rows > 1 && before == this // without the primary key, a copy may stand next to its row
		before = this
		for at < len(inOrder) && p.leaves[inOrder[at]].seq < seq {
			at++
		}
		if at < len(inOrder) && p.leaves[inOrder[at]].seq == seq {
			found = p.claim(inOrder[at], found)
		}
		switch {
		case again:
			p.result.findings = append(p.result.findings, Finding{Fault: Inserted, Kind: seal.Record, Seq: seq, ID: this.id, Text: fmt.Sprintf("record %s, with seq %d, stands twice", this.id, seq)})
		case found.id != uuid.Nil:
			extra = append(extra, Finding{Fault: Inserted, Kind: seal.Record, Seq: seq, ID: found.id})
			extraHashes = append(extraHashes, found.hash)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, finding := range extra {
		if err := p.judgeExtra(ctx, finding, extraHashes[i]); err != nil {
			return err
		}
	}
	return nil
}

// claim gives a leaf its row, and returns the row that the leaf does not have: of two rows
// with one seq, the one with the leaf's hash is its row.
func (p *part) claim(i int, row hashedRow) (left hashedRow) {
	row = p.resolve(i, row)
	if p.present[i] && (!p.fits(i, row.hash) || p.fits(i, p.rows[i])) {
		return row
	}
	if p.present[i] {
		left = hashedRow{hash: p.rows[i], id: p.ids[i]}
	}
	p.rows[i], p.present[i], p.ids[i] = row.hash, true, row.id
	return left
}

// fits reports whether a row may be that of a leaf, as far as the tile or the mark tells.
func (p *part) fits(i int, hash seal.Hash) bool {
	switch {
	case p.known[i]:
		return hash == p.hashes[i]
	case p.marked(i):
		return bytes.Equal(p.verifier.marks[i%tileWidth], hash[:sealdriver.MarkSize])
	default:
		return true
	}
}

// inOrder lists the leaves of records whose seq is above all before them.
func (p *part) inOrder() (indexes []int) {
	highest := p.before
	for i, of := range p.leaves {
		if of.kind == seal.Record && of.seq > highest {
			highest = of.seq
			indexes = append(indexes, i)
		}
	}
	return indexes
}
