package sealer

import (
	"context"
	"fmt"
	"slices"

	"github.com/hoc-analytics/coordaudit/seal"
)

// compare compares rows with tiles. If a tile is not the one that the tree above it was built
// on and the rows give the one that was, the tile looks wrong, and the rows are taken for the log.
// That tree is no evidence either, so a signed root decides: see doubt.
func (p *part) compare(ctx context.Context) error {
	p.result.hashes = slices.Clone(p.hashes)
	for first := 0; first < len(p.leaves); first += tileWidth {
		last := min(first+tileWidth, len(p.leaves))
		if err := p.compareTile(ctx, first, last); err != nil {
			return err
		}
	}
	return nil
}

func (p *part) compareTile(ctx context.Context, first, last int) error {
	var faults []Finding
	for i := first; i < last; i++ {
		of := p.leaves[i]
		if err := p.giveBack(ctx, i); err != nil {
			return err
		}
		switch {
		case !p.present[i]:
			expired, err := p.isExpired(ctx, i)
			if err != nil {
				return err
			}
			if expired {
				p.result.expired++
				p.rows[i] = p.hashes[i]
				continue
			}
			p.result.unsure = p.result.unsure || !p.known[i]
			faults = append(faults, p.missing(i))
		case !p.known[i] && !p.fits(i, p.rows[i]):
			p.result.unsure, p.result.hashes[i] = true, p.rows[i]
			p.result.doubted = append(p.result.doubted, p.edited(i))
		case !p.known[i]:
			p.result.hashes[i] = p.rows[i]
			p.result.verified++
		case p.rows[i] != p.hashes[i]:
			faults = append(faults, p.edited(i))
		case p.unrecorded[i] != "":
			faults = append(faults, Finding{Fault: Edited, Kind: of.kind, Seq: of.seq, ID: p.ids[i], Text: fmt.Sprintf("%s %s, with seq %d: its %s was replaced by a digest, and no event says so", of.kind, p.ids[i], of.seq, p.unrecorded[i])})
		case of.kind == seal.Record && p.expired.Has(of.seq):
			gone, err := p.otherIsGone(ctx, i)
			if err != nil {
				return err
			}
			if gone {
				p.result.verified++
				continue
			}
			faults = append(faults, Finding{Fault: NotExpired, Kind: of.kind, Seq: of.seq, ID: p.ids[i], Text: fmt.Sprintf("%s %s, with seq %d, is on record as expired, and is there", of.kind, p.ids[i], of.seq)})
		default:
			p.result.verified++
		}
	}
	if len(faults) == 0 {
		return nil
	}
	blamed, err := p.tileToBlame(ctx, first, last)
	if err != nil || !blamed {
		p.result.findings = append(p.result.findings, faults...)
		return err
	}
	copy(p.result.hashes[first:last], p.rows[first:last])
	p.result.doubts = append(p.result.doubts, doubt{Tile: p.index*tileWidth + int64(first/tileWidth), Faults: faults})
	return nil
}

// anyMissing reports whether a row is not there and is not expired.
func (p *part) anyMissing(first, last int) bool {
	for i := first; i < last; i++ {
		if !p.present[i] && p.rows[i] != p.hashes[i] {
			return true
		}
	}
	return false
}

func (p *part) missing(i int) Finding {
	of := p.leaves[i]
	return Finding{Fault: Missing, Kind: of.kind, Seq: of.seq, Text: fmt.Sprintf("the %s with seq %d was sealed and is not there", of.kind, of.seq)}
}

func (p *part) edited(i int) Finding {
	of := p.leaves[i]
	return Finding{Fault: Edited, Kind: of.kind, Seq: of.seq, ID: p.ids[i], Text: fmt.Sprintf("%s %s, with seq %d, is not what was sealed", of.kind, p.ids[i], of.seq)}
}

// marked reports whether a leaf of the tail has a mark.
func (p *part) marked(i int) bool { return p.verifier.marks[i%tileWidth] != nil }

// tileToBlame reports whether the rows of a full tile give the root that the level above has,
// and the tile does not.
func (p *part) tileToBlame(ctx context.Context, first, last int) (bool, error) {
	if last-first < tileWidth || p.anyMissing(first, last) || slices.Contains(p.known[first:last], false) {
		return false, nil
	}
	index := p.index*tileWidth + int64(first/tileWidth)
	tile, rows := seal.Tile{Hashes: p.hashes[first:last]}.Root(), seal.Tile{Hashes: p.rows[first:last]}.Root()
	above, err := p.conn.TileHashes(ctx, p.verifier.result.Epoch, 1, index/tileWidth)
	if err != nil {
		return false, err
	}
	var want seal.Hash
	if above != nil {
		want = above[index%tileWidth]
	} else if roots, err := p.conn.TileRoots(ctx, p.verifier.result.Epoch, 0, index, index+1); err != nil || len(roots) == 0 {
		return false, err
	} else {
		want = roots[0]
	}
	return want == rows && want != tile, nil
}
