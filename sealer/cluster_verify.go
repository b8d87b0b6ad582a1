package sealer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// On a cluster, the stored leaves say which row is where in the log. They are no evidence: a row
// proves that it is what was sealed by its hash. A row that was inserted has no leaf and is
// sealed next, and one with a leaf that the log does not have is found here.

// findIndexed reads how many leaves of the log are stored with their rows.
func (v *verifier) findIndexed(ctx context.Context) (err error) {
	if v.distributed, err = v.conn.Distributed(ctx); err != nil || !v.distributed {
		return err
	}
	if !v.config.Cluster {
		return errors.New("the database says that the trail is on a Citus cluster, where no record is named that was inserted among sealed ones: if it is, say so (coordaudit verify --cluster, VerifyConfig.Cluster); if not, find out who made it say so")
	}
	has, err := v.conn.HasLeaves(ctx)
	if err != nil || !has {
		return err
	}
	v.indexed, err = v.conn.IndexedThrough(ctx, v.result.Epoch, v.size)
	return err
}

// readIndexed reads the records of the part by their places in the log, and looks for those
// that have none by their seqs.
func (p *part) readIndexed(ctx context.Context) error {
	first := p.index * partLeaves
	err := p.conn.SealedRecords(ctx, p.verifier.result.Epoch, first, first+int64(len(p.leaves)), func(index int64, values [][]byte) error {
		found, seq, err := hashRow(&p.hasher, seal.Record, values)
		if err != nil {
			return err
		}
		i := int(index - first)
		if p.leaves[i].kind == seal.Record {
			found = p.claim(i, found)
		}
		if found.id != uuid.Nil {
			p.strayed(seal.Record, found.id, seq, index)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var unclaimed []leaf
	var indexes []int
	for i, of := range p.leaves {
		if of.kind == seal.Record && !p.present[i] {
			unclaimed, indexes = append(unclaimed, of), append(indexes, i)
		}
	}
	return p.match(ctx, unclaimed, indexes)
}

// strayed reports a row with the leaf of another: it was never sealed, and looks as if it was.
func (p *part) strayed(kind seal.Kind, id uuid.UUID, seq, index int64) {
	p.result.findings = append(p.result.findings, Finding{
		Fault: Inserted, Kind: kind, Seq: seq, ID: id,
		Text: fmt.Sprintf("%s %s, with seq %d, was never sealed: it is listed as leaf %d, which is that of another row", kind, id, seq, index),
	})
}

// checkOthers requires that each gap and statement that is listed as a leaf is the row of it.
func (p *part) checkOthers(ctx context.Context) error {
	first := p.index * partLeaves
	listed, err := p.conn.OtherLeaves(ctx, p.verifier.result.Epoch, first, first+int64(len(p.leaves)))
	if err != nil {
		return err
	}
	for _, of := range listed {
		i := int(of.Index - first)
		if p.leaves[i].kind != of.Kind || p.present[i] && p.ids[i] != of.ID {
			p.strayed(of.Kind, of.ID, p.leaves[i].seq, of.Index)
		}
	}
	return nil
}

// isUnsealed reports whether a row that the checkpoint does not cover is to be sealed yet, or was
// sealed after it.
func (v *verifier) isUnsealed(ctx context.Context, conn *sealdriver.Conn, of sealdriver.Leaf) (bool, error) {
	has, err := conn.HasLeaves(ctx)
	if err != nil || !has {
		return true, err
	}
	index, found, err := conn.LeafIndex(ctx, v.result.Epoch, of)
	return !found || index >= v.size, err
}

// unsealedRow is a gap, statement or event that the checkpoint does not cover.
type unsealedRow struct {
	of  sealdriver.Leaf
	seq int64
}

// findClusterInserted finds rows that are listed as leaves, and are none.
func (v *verifier) findClusterInserted(ctx context.Context) error {
	for kind, sealed := range v.sealed {
		last := int64(math.MaxInt64)
		if kind == seal.Event {
			last = v.lastSealed(kind)
		}
		var rows []unsealedRow
		err := v.conn.Rows(ctx, kind, minSeq, last, func(values [][]byte) error {
			seq, err := seal.Row{Kind: kind, Values: values}.Seq()
			if err == nil && !sealed.Has(seq) {
				rows = append(rows, unsealedRow{of: sealdriver.LeafOf(kind, values), seq: seq})
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			unsealed, err := v.isUnsealed(ctx, v.conn, row.of)
			if err != nil {
				return err
			}
			if unsealed && kind != seal.Event {
				v.result.UnsealedOthers++
			} else {
				v.findInserted(kind, row.seq, row.of.ID)
			}
		}
	}
	return v.findLeavesBeyond(ctx)
}

// findLeavesBeyond finds rows that are listed behind the end of the log: they would never be sealed.
// What a sealer lists is visible after its checkpoint is, so the end is read again after them.
func (v *verifier) findLeavesBeyond(ctx context.Context) error {
	last, err := v.conn.LastCheckpoint(ctx)
	if err != nil || last == nil || v.indexed == 0 {
		return err
	}
	beyond, err := v.conn.LeavesBeyond(ctx, last.Epoch, last.Size, MaxFindings)
	if err != nil || len(beyond) == 0 {
		return err
	}
	if last, err = v.conn.LastCheckpoint(ctx); err != nil || last == nil {
		return err
	}
	for _, of := range beyond {
		if of.Epoch > last.Epoch || of.Epoch == last.Epoch && of.Index >= last.Size {
			v.find(Finding{
				Fault: Inserted, Kind: of.Kind, ID: of.ID,
				Text: fmt.Sprintf("%s %s was never sealed: it is listed as leaf %d of epoch %d, which the log does not have", of.Kind, of.ID, of.Index, of.Epoch),
			})
		}
	}
	return nil
}
