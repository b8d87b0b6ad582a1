package sealer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// judgeExtra decides about a record that no leaf in the order of seq covers: it was sealed
// late, it is to be sealed yet, or it was inserted. An edited late record is reported with
// its leaf, so it is one of as many rows as there are leaves.
func (p *part) judgeExtra(ctx context.Context, finding Finding, hash seal.Hash) error {
	of := leaf{kind: seal.Record, seq: finding.Seq}
	places, err := placesOf(ctx, p.conn, p.verifier.result.Epoch, finding.Seq)
	if err != nil && !errors.Is(err, errLeaves) { // the part of a damaged tile reports it
		return err
	}
	leaves, tail, later := 0, p.verifier.size-int64(len(p.verifier.tail)), slices.Contains(p.verifier.later[of], hash)
	for _, at := range places {
		switch fits := at.hash == hash && p.verifier.isStored(at.index/tileWidth); {
		case fits && at.index < p.verifier.size:
			return nil
		case fits:
			later = true
		case at.index < tail:
			leaves++
		}
	}
	for _, at := range p.verifier.tail {
		if at == of {
			leaves++
		}
	}
	if leaves > 0 && !later {
		rows, err := hashRows(ctx, p.conn, []leaf{of})
		if err != nil || len(rows[of]) <= leaves {
			return err
		}
	} else if awaited, err := p.isAwaited(ctx, finding); err != nil || awaited || later {
		p.result.awaited++
		return err
	}
	finding.Text = fmt.Sprintf("record %s, with seq %d, was never sealed, although its neighbours were", finding.ID, finding.Seq)
	p.result.findings = append(p.result.findings, finding)
	return nil
}

// isAwaited reports whether a record is to be sealed yet.
func (p *part) isAwaited(ctx context.Context, finding Finding) (bool, error) {
	if p.verifier.distributed {
		return p.verifier.isUnsealed(ctx, p.conn, sealdriver.Leaf{Kind: seal.Record, ID: finding.ID})
	}
	return p.verifier.awaited.Has(finding.Seq), nil
}
