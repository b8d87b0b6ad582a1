package sealer

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/seal"
)

// openAfter opens the older checkpoint of a verification, if it has one.
func openAfter(config VerifyConfig, epoch int64, checkpoint seal.Checkpoint) (seal.Checkpoint, error) {
	if config.After == nil {
		return seal.Checkpoint{}, nil
	}
	of, after, err := seal.OpenLog(config.After, config.Verifier)
	switch {
	case err != nil:
		return after, fmt.Errorf("the older checkpoint: %w", err)
	case of != epoch:
		return after, fmt.Errorf("the older checkpoint is of epoch %d, the other of epoch %d: give two of one epoch", of, epoch)
	case after.Size > checkpoint.Size:
		return after, fmt.Errorf("the older checkpoint covers %d leaves, the other %d: swap them", after.Size, checkpoint.Size)
	}
	return after, nil
}

// checkAfter compares the root of the log with that of the older checkpoint, when the tree
// has its size.
func (v *verifier) checkAfter() error {
	if v.after.Size == 0 || v.tree.Size() != v.after.Size {
		return nil
	}
	root, err := v.tree.Root()
	if err != nil {
		return err
	}
	if root != v.after.Root && !v.unsure {
		v.find(Finding{Fault: Forked, Text: fmt.Sprintf("the log's first %d leaves do not have the root of the older checkpoint", v.after.Size)})
	}
	return nil
}
