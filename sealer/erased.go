package sealer

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/seal"
)

// The columns of a record whose texts can be erased, and what surrounds the digest that
// takes the place of such a text. The database writes it so: see migration 00011.
const (
	reasonColumn  = 5
	detailsColumn = 23

	reasonBegins, reasonEnds   = "[erased sha256:", "]"
	detailsBegins, detailsEnds = "\x01" + `{"erased": "sha256:`, `"}`
)

// erasedDigest returns the digest that stands in the place of a text, or nil.
func erasedDigest(column int, value []byte) []byte {
	begins, ends := reasonBegins, reasonEnds
	if column == detailsColumn {
		begins, ends = detailsBegins, detailsEnds
	}
	if !bytes.HasPrefix(value, []byte(begins)) || !bytes.HasSuffix(value, []byte(ends)) ||
		len(value) != len(begins)+hex.EncodedLen(len(seal.Hash{}))+len(ends) {
		return nil
	}
	digest, err := hex.DecodeString(string(value[len(begins) : len(value)-len(ends)]))
	if err != nil {
		return nil
	}
	return digest
}

// withDigests returns what a record may have been before texts of it were erased: the row with
// one digest or both in the place of the texts. It is nil for nearly every row.
func withDigests(row seal.Row) (before []seal.Row) {
	if row.Kind != seal.Record {
		return nil
	}
	reason, details := erasedDigest(reasonColumn, row.Values[reasonColumn]), erasedDigest(detailsColumn, row.Values[detailsColumn])
	if reason == nil && details == nil {
		return nil
	}
	digests := map[int][]byte{reasonColumn: reason, detailsColumn: details}
	for _, columns := range [][]int{{reasonColumn, detailsColumn}, {reasonColumn}, {detailsColumn}} {
		if slices.ContainsFunc(columns, func(column int) bool { return digests[column] == nil }) {
			continue
		}
		erased := seal.Row{Kind: row.Kind, Version: row.Version, Values: slices.Clone(row.Values), Digests: make([][]byte, len(row.Values))}
		for _, column := range columns {
			erased.Values[column], erased.Digests[column] = nil, digests[column]
		}
		before = append(before, erased)
	}
	return before
}

// erasedTexts names the texts that a row has digests of, as the events of erasures do.
func erasedTexts(row seal.Row) (texts []string) {
	for column, name := range map[int]string{reasonColumn: "reason", detailsColumn: "details"} {
		if row.Digests != nil && row.Digests[column] != nil {
			texts = append(texts, name)
		}
	}
	slices.Sort(texts)
	return texts
}

// variant is the hash of a row as it was before texts of it were erased.
type variant struct {
	hash  seal.Hash
	texts []string
}

func variantsOf(row seal.Row) (variants []variant, err error) {
	for _, before := range withDigests(row) {
		hash, err := before.Hash()
		if err != nil {
			return nil, err
		}
		variants = append(variants, variant{hash: hash, texts: erasedTexts(before)})
	}
	return variants, nil
}

// erasure is a leaf whose row fits once digests take the place of texts.
type erasure struct {
	leaf  int
	id    uuid.UUID
	texts []string
}

// resolve takes for a row what it was before an erasure, if that is what fits the leaf.
func (p *part) resolve(i int, row hashedRow) hashedRow {
	if len(row.variants) == 0 {
		return row
	}
	if p.fits(i, row.hash) {
		p.claims[i] = row.id
		return row
	}
	for _, before := range row.variants {
		if p.fits(i, before.hash) {
			p.erasures = append(p.erasures, erasure{leaf: i, id: row.id, texts: before.texts})
			row.hash, row.variants = before.hash, nil
			return row
		}
	}
	return row
}

// judgeErasures requires that each erasure is on record.
func (p *part) judgeErasures(ctx context.Context) error {
	judged := map[int]bool{}
	for _, of := range p.erasures {
		if judged[of.leaf] || !p.present[of.leaf] || p.ids[of.leaf] != of.id {
			continue
		}
		judged[of.leaf] = true
		for _, text := range of.texts {
			known, err := p.conn.ErasedOnRecord(ctx, of.id, p.leaves[of.leaf].seq, text)
			if err != nil {
				return fmt.Errorf("looking for the erasure of a %s: %w", text, err)
			}
			if !known {
				p.unrecorded[of.leaf] = text
			}
		}
		if p.unrecorded[of.leaf] == "" {
			p.result.erased++
		}
	}
	for leaf, id := range p.claims {
		if p.present[leaf] && p.ids[leaf] == id {
			p.result.claimed++
		}
	}
	return nil
}
