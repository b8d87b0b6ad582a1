package sealer

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/seal"
)

// Two records may have one seq, as after a restore that left the sequence behind. An event of an
// expiry names seqs. So if one of the two expired, the other one is there, and must not be taken for
// the one that is gone.

// mostShared bounds how many seqs of a part are looked up: an event may name them all.
const mostShared = 1000

// placesInLog returns the places of the leaves with the seq of a leaf, as far as the checkpoint covers
// them. It returns none if the seqs of the part were looked up too often.
func (p *part) placesInLog(ctx context.Context, i int) (found []place, err error) {
	if p.looked++; p.looked > mostShared {
		return nil, nil
	}
	places, err := placesOf(ctx, p.conn, p.verifier.result.Epoch, p.leaves[i].seq)
	if err != nil {
		return nil, fmt.Errorf("looking for the leaves of one seq: %w", err)
	}
	for _, at := range places {
		if at.index < p.verifier.size && p.verifier.isStored(at.index/tileWidth) {
			found = append(found, at)
		}
	}
	return found, nil
}

// giveBack leaves a leaf without its row if that is the row of another leaf with the same seq, and an
// event says that a record with this seq expired.
func (p *part) giveBack(ctx context.Context, i int) error {
	if !p.present[i] || !p.known[i] || p.rows[i] == p.hashes[i] || p.leaves[i].kind != seal.Record || !p.expired.Has(p.leaves[i].seq) {
		return nil
	}
	places, err := p.placesInLog(ctx, i)
	for _, at := range places {
		if at.index != p.index*partLeaves+int64(i) && at.hash == p.rows[i] {
			p.present[i], p.rows[i] = false, seal.Hash{}
		}
	}
	return err
}

// otherIsGone reports whether fewer records than leaves have the seq of a leaf: it was another one
// that expired.
func (p *part) otherIsGone(ctx context.Context, i int) (bool, error) {
	places, err := p.placesInLog(ctx, i)
	if err != nil || len(places) < 2 {
		return false, err
	}
	of := p.leaves[i]
	rows, err := hashRows(ctx, p.conn, []leaf{of})
	return len(rows[of]) < len(places), err
}
