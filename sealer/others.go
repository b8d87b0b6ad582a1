package sealer

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// sharedSeq is a leaf of a gap, statement or event whose seq more than one row carries, and the
// hash of the row that was taken for it.
type sharedSeq struct {
	leaf leaf
	hash seal.Hash
}

// lastSealed returns the highest sealed seq of a kind: each row below it was sealed, too. That does
// not hold for the event that opened the epoch. It is sealed before those below it.
func (v *verifier) lastSealed(kind seal.Kind) int64 {
	sealed := *v.sealed[kind]
	if kind == seal.Event && v.opening > 0 {
		sealed = sealed.Minus(completeness.Span(v.opening, v.opening))
	}
	return sealed.Max()
}

// findOthers finds rows that the log passed over, of all kinds, and counts those that wait.
func (v *verifier) findOthers(ctx context.Context) error {
	if v.distributed {
		return v.findClusterInserted(ctx)
	}
	if err := v.findOthersInserted(ctx); err != nil {
		return err
	}
	if err := v.findSealedAgain(ctx); err != nil {
		return err
	}
	var through sealdriver.Positions // that the stored checkpoint says it is final to
	var awaited completeness.Set
	if v.passed != nil {
		through, awaited = v.passed.Through, v.passed.Awaited
	}
	for kind, passed := range map[seal.Kind]int64{seal.Gap: through.Gaps, seal.Statement: through.Statements, seal.Event: through.Events} {
		if err := v.findPassed(ctx, kind, v.lastSealed(kind), math.MaxInt64, func(seq int64) bool {
			if !v.sealed[kind].Has(seq) {
				v.result.UnsealedOthers++
			}
			return seq <= passed && !v.sealed[kind].Has(seq)
		}); err != nil {
			return err
		}
	}
	return v.findPassed(ctx, seal.Record, v.through, through.Records, func(seq int64) bool { return !awaited.Has(seq) })
}

// findPassed reports the rows behind the last sealed one that the stored checkpoint passed over.
func (v *verifier) findPassed(ctx context.Context, kind seal.Kind, after, through int64, isPassed func(seq int64) bool) error {
	if after >= through {
		return nil
	}
	return v.conn.Rows(ctx, kind, after+1, through, func(values [][]byte) error {
		seq, err := seal.Row{Kind: kind, Values: values}.Seq()
		if err == nil && isPassed(seq) {
			v.find(Finding{Fault: Inserted, Kind: kind, Seq: seq, ID: idOf(values), Text: fmt.Sprintf(
				"the %s with seq %d was never sealed, although the stored checkpoint says that it has passed it: the row was inserted, or the checkpoint changed", kind, seq)})
		}
		return err
	})
}

// findOthersInserted finds gaps, statements and events that stand below the last sealed one
// of their kind and were never sealed.
func (v *verifier) findOthersInserted(ctx context.Context) error {
	for kind, sealed := range v.sealed {
		var repeated completeness.Set
		var before int64
		rows := false
		err := v.conn.Rows(ctx, kind, minSeq, v.lastSealed(kind), func(values [][]byte) error {
			seq, err := seal.Row{Kind: kind, Values: values}.Seq()
			switch {
			case err != nil:
				return err
			case !sealed.Has(seq):
				v.findInserted(kind, seq, idOf(values))
			case rows && seq == before:
				repeated.Add(seq, seq)
			}
			before, rows = seq, true
			return nil
		})
		if err == nil {
			err = v.findRepeated(ctx, kind, repeated)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findSealedAgain finds gaps, statements and events that have more leaves than rows. No sealer makes
// one twice, unless a checkpoint was changed so that it begins again. Then it also seals what was
// inserted in between.
func (v *verifier) findSealedAgain(ctx context.Context) error {
	leaves := map[leaf]int{}
	for _, of := range v.again {
		leaves[of]++
	}
	rows, err := hashRows(ctx, v.conn, slices.Collect(maps.Keys(leaves)))
	if err != nil {
		return err
	}
	for of, more := range leaves {
		blamed := slices.ContainsFunc(v.result.Findings, func(f Finding) bool { return f.Kind == of.kind && f.Seq == of.seq })
		if have := len(rows[of]); !blamed && have > 0 && have <= more {
			v.find(Finding{Fault: Damaged, Text: fmt.Sprintf("the %s with seq %d is in the log %d times, and in its table %d times: "+
				"a stored checkpoint was changed, so that a sealer began again and sealed what was inserted since", of.kind, of.seq, more+1, have)})
		}
	}
	return nil
}

// findRepeated finds rows with the seq of a sealed one. More than one of them may be sealed: a
// sequence that was set back gives a seq twice.
func (v *verifier) findRepeated(ctx context.Context, kind seal.Kind, seqs completeness.Set) error {
	var hasher seal.Hasher
	var before seal.Hash
	for _, span := range seqs {
		err := v.conn.Rows(ctx, kind, span.First, span.Last, func(values [][]byte) error {
			row, seq, err := hashRow(&hasher, kind, values)
			// A copy follows its row, and is one as well.
			if err == nil && (row.hash == before || !v.shared[sharedSeq{leaf: leaf{kind: kind, seq: seq}, hash: row.hash}]) {
				v.findInserted(kind, seq, idOf(values))
			}
			before = row.hash
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) findInserted(kind seal.Kind, seq int64, id uuid.UUID) {
	v.find(Finding{Fault: Inserted, Kind: kind, Seq: seq, ID: id, Text: fmt.Sprintf("the %s with seq %d was never sealed", kind, seq)})
}
