package sealer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hoc-analytics/coordaudit/seal"
)

// epochOpened is the body of the event that opens an epoch.
type epochOpened struct {
	Reason     string `json:"reason"`
	Checkpoint string `json:"previous_checkpoint"` // signed, as it was exported
}

const eventEpochOpened = "epoch opened"

// mustBeOpened refuses an epoch that the database knows and that no exported checkpoint shows.
// Whoever can store an event could open one otherwise, and the sealer would sign what the trail
// is by then.
func (n *session) mustBeOpened(epoch int64, exported *exportedCheckpoint) error {
	switch {
	case epoch <= 1, exported != nil && exported.epoch >= epoch:
		return nil
	case exported == nil, n.sealer.config.NewPlace:
		return n.newPlace(fmt.Sprintf("the first checkpoint of epoch %d was exported when it was opened", epoch))
	}
	return fmt.Errorf("%w: the database knows epoch %d, and the last exported checkpoint is of epoch %d: whoever opened it had no key, or its first checkpoint could not be exported: "+
		"verify the trail against the last exported checkpoint, and if nothing is found, open a new epoch (coordaudit seal --new-epoch REASON)", ErrForked, epoch, exported.epoch)
}

// open begins an epoch that an event has opened. The event is its first leaf.
func (n *session) open(ctx context.Context, seq, epoch int64, body string, exported *exportedCheckpoint) error {
	var opened epochOpened
	if err := json.Unmarshal([]byte(body), &opened); err != nil {
		return fmt.Errorf("reading the event that opened epoch %d: it is %w: its body is no JSON object", epoch, ErrTampered)
	}
	if exported != nil && (exported.epoch >= epoch || exported.signed != opened.Checkpoint) {
		return fmt.Errorf("%w: the event that opened epoch %d names another checkpoint than the last exported one: open a new epoch again (coordaudit seal --new-epoch REASON)", ErrForked, epoch)
	}
	n.log.epoch, n.log.tree, n.opening = epoch, &seal.Tree{}, 0
	if err := n.sealRange(ctx, seal.Event, seq, seq, nil); err != nil {
		return err
	}
	n.opening = seq
	return nil
}

// OpenEpoch begins a new log, with another origin, after a restore that lost sealed rows. Its
// first leaf is an event with the last exported checkpoint and the reason. A checkpoint of that
// leaf is signed and exported, since a sealer goes on in no epoch that is not exported. Then
// everything that is there is sealed again. The checkpoints of the old epoch stay valid for what
// they cover. After an error, open an epoch again.
func (s *Sealer) OpenEpoch(ctx context.Context, reason string) (epoch int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening an epoch: %w", err)
		}
	}()
	n, err := s.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer n.end(ctx)
	return n.putOpening(ctx, reason)
}

func (n *session) putOpening(ctx context.Context, reason string) (epoch int64, err error) {
	exported, err := n.lastExported(ctx)
	if err != nil {
		return 0, err
	}
	last, err := n.conn.LastCheckpoint(ctx)
	if err != nil {
		return 0, err
	}
	if err := n.mustHaveExports(last, exported); err != nil {
		return 0, err
	}
	_, opened, _, err := n.conn.OpenedEpoch(ctx)
	if err != nil {
		return 0, err
	}
	body := epochOpened{Reason: reason}
	epoch = max(opened, 1)
	if last != nil {
		epoch = max(epoch, last.Epoch)
	}
	if exported != nil {
		body.Checkpoint = exported.signed
		epoch = max(epoch, exported.epoch)
	}
	epoch++
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	seq, err := n.conn.PersistEvent(ctx, eventEpochOpened, epoch, string(text))
	if err != nil {
		return 0, storing(err)
	}
	if err := n.open(ctx, seq, epoch, string(text), exported); err != nil {
		return 0, err
	}
	return epoch, n.checkpoint(ctx)
}
