package sealer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// batchRecords bounds the records between two checkpoints when there is much to seal.
const batchRecords = 65_536

// round seals what was committed since the last one, and returns the number of rows.
//
// The order matters. First the sequences are read. Then the transactions are listed that
// may have taken a value and are not committed. When they have ended, a new statement sees
// every row up to those values that will ever be there.
func (n *session) round(ctx context.Context) (sealed int64, err error) {
	if n.cluster != nil {
		return n.clusterRound(ctx)
	}
	target, err := n.conn.Positions(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the sequences: %w", err)
	}
	if err := n.checkTarget(target); err != nil {
		return 0, err
	}
	before := n.log.saved
	defer func() { sealed = n.log.saved - before }()
	if err := n.look(ctx, target); err != nil {
		return 0, err
	}
	if target == n.through && len(n.awaited) == 0 {
		n.fence.Rest()
		n.sealer.block(ctx, "", time.Time{})
		return 0, n.checkpoint(ctx) // the opening of an epoch may be all there is
	}
	if err := n.sealLate(ctx); err != nil {
		return 0, err
	}
	open, err := n.fence.Wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("waiting for open transactions: %w", err)
	}
	if len(open) == 0 {
		err = n.sealFinal(ctx, target)
	} else {
		err = n.sealAround(ctx, target, open)
	}
	if err != nil {
		return 0, err
	}
	if err := n.checkpoint(ctx); err != nil {
		return 0, err
	}
	return 0, n.lookAgain(ctx)
}

func (n *session) checkTarget(target sealdriver.Positions) error {
	t := n.through
	if target.Records < t.Records || target.Gaps < t.Gaps || target.Statements < t.Statements || target.Events < t.Events {
		return cannot("a sequence is behind what was sealed, as after setval or a restore: migrate repair, and if rows were lost, open a new epoch")
	}
	return nil
}

// sealFinal seals everything up to target. Nothing there is open any more.
func (n *session) sealFinal(ctx context.Context, target sealdriver.Positions) error {
	if err := n.sealVisible(ctx, n.awaited); err != nil {
		return err
	}
	n.awaited, n.fence.Around = nil, nil // what is missing was rolled back
	for _, of := range []struct {
		kind    seal.Kind
		through *int64
		target  int64
	}{
		{seal.Event, &n.through.Events, target.Events},
		{seal.Gap, &n.through.Gaps, target.Gaps},
		{seal.Statement, &n.through.Statements, target.Statements},
	} {
		if *of.through == of.target { // which may be the last number that there is
			continue
		}
		if err := n.sealRange(ctx, of.kind, *of.through+1, of.target, nil); err != nil {
			return err
		}
		*of.through = of.target
	}
	return n.sealRecords(ctx, target.Records, nil)
}

// sealAround seals the records that are visible up to target, and awaits the others.
func (n *session) sealAround(ctx context.Context, target sealdriver.Positions, open map[string]int32) error {
	n.fence.GoAround(target.Records, open)
	return n.sealRecords(ctx, target.Records, &n.awaited)
}

// sealLate seals awaited records that are visible by now, and forgets those whose
// transactions have ended.
func (n *session) sealLate(ctx context.Context) error {
	if len(n.awaited) == 0 {
		return nil
	}
	if _, err := n.fence.Look(ctx); err != nil {
		return err
	}
	final := n.fence.Finished()
	if err := n.sealVisible(ctx, n.awaited); err != nil {
		return err
	}
	n.awaited = n.awaited.Minus(completeness.Span(1, final))
	return nil
}

// sealVisible seals those records of a set that are visible, and awaits them no longer.
func (n *session) sealVisible(ctx context.Context, set completeness.Set) error {
	if len(set) == 0 {
		return nil
	}
	var seen completeness.Set
	err := n.conn.LateRows(ctx, set, func(values [][]byte) error {
		seq, err := n.log.add(seal.Record, values)
		seen.Add(seq, seq)
		return err
	})
	n.awaited = n.awaited.Minus(seen)
	return n.sealing(seal.Record, err)
}

// sealRecords seals records in batches, each with a checkpoint. It adds the seqs without a
// row to missing, unless that is nil.
func (n *session) sealRecords(ctx context.Context, target int64, missing *completeness.Set) error {
	for n.through.Records < target {
		next, err := n.conn.NextRecord(ctx, n.through.Records, target)
		if err != nil {
			return fmt.Errorf("looking for new records: %w", err)
		}
		last := target
		if next != 0 {
			if target-next >= batchRecords { // a sum may be above the last number that there is
				last = next + batchRecords - 1
			}
			err = n.sealRange(ctx, seal.Record, n.through.Records+1, last, missing)
		} else if missing != nil {
			missing.Add(n.through.Records+1, target)
		}
		if err != nil {
			return err
		}
		n.through.Records = last
		if last < target {
			if err := n.checkpoint(ctx); err != nil {
				return err
			}
			if err := n.lookAgain(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *session) sealRange(ctx context.Context, kind seal.Kind, first, last int64, missing *completeness.Set) error {
	if first > last {
		return nil
	}
	expected := first
	err := n.conn.Rows(ctx, kind, first, last, func(values [][]byte) error {
		seq, err := seal.Row{Kind: kind, Values: values}.Seq()
		if err != nil || kind == seal.Event && seq == n.opening {
			return err
		}
		if missing != nil {
			missing.Add(expected, seq-1)
			expected = seq + 1
		}
		_, err = n.log.add(kind, values)
		return err
	})
	if missing != nil {
		missing.Add(expected, last)
	}
	return n.sealing(kind, err)
}

func (n *session) sealing(kind seal.Kind, err error) error {
	if err != nil {
		return fmt.Errorf("reading each %s to seal: %w", kind, err)
	}
	return nil
}

// checkpoint signs what was appended, stores it, and exports it.
func (n *session) checkpoint(ctx context.Context) error {
	size := n.log.tree.Size()
	if size == n.log.saved {
		return nil
	}
	root, err := n.log.tree.Root()
	if err != nil {
		return fmt.Errorf("computing the root: %w", err)
	}
	signed, err := n.sign(seal.Checkpoint{Size: size, Root: root})
	if err != nil {
		return err
	}
	err = n.conn.Append(ctx, n.log.full, n.log.index, sealdriver.Checkpoint{
		Epoch: n.log.epoch, Size: size, PreviousSize: n.log.saved, Root: root,
		Leaves: appendLeaves([]byte{}, n.log.tail), Marks: n.log.marks(), Through: n.through, Awaited: n.awaited, Note: string(signed),
	})
	if err != nil {
		return fmt.Errorf("storing the checkpoint of size %d: %w", size, storing(err))
	}
	n.log.saved, n.log.full, n.log.index = size, n.log.full[:0], n.log.index[:0]
	return n.export(ctx, size, signed)
}

// sign signs a checkpoint of this epoch.
func (n *session) sign(of seal.Checkpoint) ([]byte, error) {
	signer := n.sealer.config.Signer
	of.Origin = seal.Origin(signer.Name(), n.log.epoch)
	signed, err := seal.SignCheckpoint(of, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint of size %d: %w", of.Size, err)
	}
	return signed, nil
}

func (n *session) export(ctx context.Context, size int64, signed []byte) error {
	if err := n.sealer.config.Export.Export(ctx, n.log.epoch, size, signed); err != nil {
		if errors.Is(err, ErrForked) || errors.Is(err, ErrCutOff) {
			return fmt.Errorf("exporting the checkpoint of size %d: %w", size, err)
		}
		return fmt.Errorf("exporting the checkpoint of size %d: %w: %w", size, ErrExport, err)
	}
	n.sealer.update(func(stats *Stats) {
		stats.Epoch, stats.Size, stats.SealedAt = n.log.epoch, size, time.Now()
	})
	return nil
}
