package sealer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// load brings the session to the last checkpoint in the database. Then it compares the log
// with the last exported checkpoint, before anything is signed.
func (n *session) load(ctx context.Context) error {
	last, err := n.conn.LastCheckpoint(ctx)
	if err != nil {
		return fmt.Errorf("reading the last checkpoint: %w", err)
	}
	exported, err := n.lastExported(ctx)
	if err != nil {
		return err
	}
	seq, opened, body, err := n.conn.OpenedEpoch(ctx)
	if err != nil {
		return fmt.Errorf("reading the last epoch: %w", err)
	}
	switch {
	case last == nil && opened == 0, last != nil && opened <= last.Epoch:
		if err := n.resume(ctx, last); err != nil {
			return err
		}
		if opened == n.log.epoch {
			n.opening = seq
		}
		return n.compare(ctx, last, exported)
	default:
		return n.open(ctx, seq, opened, body, exported)
	}
}

// exportedCheckpoint is the last one that was exported.
type exportedCheckpoint struct {
	epoch      int64
	checkpoint seal.Checkpoint
	signed     string
}

func (n *session) lastExported(ctx context.Context) (*exportedCheckpoint, error) {
	signed, err := n.sealer.config.Export.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the last exported checkpoint: %w: %w", ErrExport, err)
	}
	if signed == nil {
		return nil, nil //nolint:nilnil // none was exported
	}
	epoch, checkpoint, err := n.parse(string(signed))
	if err != nil {
		return nil, fmt.Errorf("%w: the last exported checkpoint is not one of this key's log, export to another place or use the right key: %w", ErrForked, err)
	}
	return &exportedCheckpoint{epoch: epoch, checkpoint: checkpoint, signed: string(signed)}, nil
}

// resume rebuilds the right edge of the log. Its leaves after the last full tile are hashed
// again, so a change of one of these rows is found here.
func (n *session) resume(ctx context.Context, last *sealdriver.Checkpoint) error {
	n.log.epoch, n.log.tree = 1, &seal.Tree{}
	if last == nil {
		return nil
	}
	n.log.epoch, n.log.saved = last.Epoch, last.Size
	n.through, n.awaited = last.Through, last.Awaited
	tail, err := parseLeaves(last.Leaves, int(last.Size%tileWidth))
	if err != nil {
		return n.tampered(last.Size, err.Error())
	}
	edge, err := n.readEdge(ctx, last, tail)
	if err != nil {
		return err
	}
	n.log.tree, err = seal.ResumeTree(last.Size, edge)
	if err != nil {
		return n.tampered(last.Size, "tiles are missing: "+err.Error())
	}
	root, err := n.log.tree.Root()
	if err != nil || root != last.Root {
		return n.tampered(last.Size, "the rows after the last full tile, or the tiles, do not give its root")
	}
	epoch, signed, err := n.parse(last.Note)
	if err != nil || epoch != last.Epoch || signed.Size != last.Size || signed.Root != last.Root {
		return n.tampered(last.Size, "its note does not say what its row says")
	}
	if err := n.resumeTail(ctx, last, tail); err != nil {
		return err
	}
	return n.resumeFence(ctx)
}

func (n *session) tampered(size int64, what string) error {
	return fmt.Errorf("the checkpoint of size %d is %w: %s: run coordaudit verify with the last exported checkpoint", size, ErrTampered, what)
}

// readEdge returns the hashes of the unfinished tile of each level.
func (n *session) readEdge(ctx context.Context, last *sealdriver.Checkpoint, tail []leaf) ([][]seal.Hash, error) {
	hashes, err := rehash(ctx, n.conn, tail)
	if err != nil {
		return nil, err
	}
	marks, err := readMarks(ctx, n.conn, last.Epoch, last.Size)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoints: %w", err)
	}
	for i, mark := range marks {
		if mark != nil && !bytes.Equal(mark, hashes[i][:sealdriver.MarkSize]) {
			return nil, n.tampered(last.Size, fmt.Sprintf("the %s with seq %d was changed", tail[i].kind, tail[i].seq))
		}
	}
	edge := [][]seal.Hash{hashes}
	for level, count := 0, last.Size/tileWidth; count > 0; level, count = level+1, count/tileWidth {
		roots, err := n.conn.TileRoots(ctx, last.Epoch, level, count-count%tileWidth, count)
		if err != nil {
			return nil, fmt.Errorf("reading tiles: %w", err)
		}
		edge = append(edge, roots)
	}
	return edge, nil
}

func (n *session) resumeTail(ctx context.Context, last *sealdriver.Checkpoint, tail []leaf) error {
	if full := last.Size / tileWidth; full > 0 {
		tiles, err := n.conn.Tiles(ctx, last.Epoch, full-1, full)
		if err != nil {
			return fmt.Errorf("reading tiles: %w", err)
		}
		if len(tiles) != 1 {
			return n.tampered(last.Size, fmt.Sprintf("tile %d is missing", full-1))
		}
		n.log.highest = tiles[0].Through
	}
	for _, of := range tail {
		n.log.note(of)
	}
	return nil
}

// resumeFence awaits the transactions that are open now: a session before this one knew which
// of them may commit what is awaited, and this one does not.
func (n *session) resumeFence(ctx context.Context) error {
	if len(n.awaited) == 0 {
		return nil
	}
	open, err := n.conn.Inserting(ctx)
	if err != nil {
		return fmt.Errorf("looking for open transactions: %w", err)
	}
	n.fence.around = []openSet{{through: n.through.Records, by: open}}
	return nil
}

// compare checks the log in the database against the last exported checkpoint. If the
// database is ahead, its last checkpoint was not exported before the process ended.
func (n *session) compare(ctx context.Context, last *sealdriver.Checkpoint, exported *exportedCheckpoint) error {
	if exported == nil || exported.epoch < n.log.epoch {
		if last == nil {
			return nil
		}
		return n.export(ctx, last.Size, []byte(last.Note))
	}
	at := exported.checkpoint
	switch {
	case exported.epoch > n.log.epoch:
		return fmt.Errorf("%w: epoch %d was exported, and the database knows epoch %d only: %s", ErrCutOff, exported.epoch, n.log.epoch, afterRestore)
	case at.Size > n.log.saved:
		return fmt.Errorf("%w: size %d was exported, and the database has %d: %s", ErrCutOff, at.Size, n.log.saved, afterRestore)
	}
	if err := n.extends(ctx, at); err != nil {
		return err
	}
	if at.Size < n.log.saved {
		return n.export(ctx, last.Size, []byte(last.Note))
	}
	n.sealer.update(func(stats *Stats) { stats.Epoch, stats.Size = n.log.epoch, n.log.saved })
	return nil
}

const afterRestore = "records may be lost; if this is a restored backup, open a new epoch (coordaudit seal --new-epoch REASON)"

// extends checks that the log has the exported root at the exported size.
func (n *session) extends(ctx context.Context, exported seal.Checkpoint) error {
	root, err := n.log.tree.Root()
	if err != nil {
		return fmt.Errorf("computing the root: %w", err)
	}
	tiles := tiles{ctx: ctx, conn: n.conn, epoch: n.log.epoch, size: n.log.saved, tail: n.log.edge()}
	proof, err := seal.ProveConsistency(exported.Size, n.log.saved, root, tiles)
	if err == nil {
		err = seal.CheckConsistency(exported.Size, exported.Root, n.log.saved, root, proof)
	}
	switch {
	case errors.Is(err, seal.ErrTile), errors.Is(err, seal.ErrProof), errors.Is(err, errTileMissing):
		return fmt.Errorf("%w: at size %d: run coordaudit verify with it; if this is a restored backup, open a new epoch (coordaudit seal --new-epoch REASON): %w",
			ErrForked, exported.Size, err)
	case err != nil:
		return fmt.Errorf("comparing the log with its exported checkpoint of size %d: %w", exported.Size, err)
	}
	return nil
}

// epochOpened is the body of the event that opens an epoch.
type epochOpened struct {
	Reason     string `json:"reason"`
	Checkpoint string `json:"previous_checkpoint"` // signed, as it was exported
}

const eventEpochOpened = "epoch opened"

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
// first leaf is an event with the last exported checkpoint and the reason. Everything that
// is there is sealed again. The checkpoints of the old epoch stay valid for what they cover.
func (s *Sealer) OpenEpoch(ctx context.Context, reason string) (epoch int64, err error) {
	conn, err := sealdriver.Open(ctx, s.pool, s.config.Schema)
	if err != nil {
		return 0, fmt.Errorf("opening an epoch: %w", err)
	}
	n := &session{sealer: s, conn: conn}
	defer n.end(ctx)
	n.fence = fence{conn: conn, patience: s.config.Patience, report: n.reportBlocked}
	if err := n.checkFacts(ctx); err != nil {
		return 0, err
	}
	if err := n.lock(ctx); err != nil {
		return 0, fmt.Errorf("opening an epoch: %w", err)
	}
	return n.putOpening(ctx, reason)
}

func (n *session) putOpening(ctx context.Context, reason string) (epoch int64, err error) {
	exported, err := n.lastExported(ctx)
	if err != nil {
		return 0, err
	}
	last, err := n.conn.LastCheckpoint(ctx)
	if err != nil {
		return 0, fmt.Errorf("opening an epoch: %w", err)
	}
	_, opened, _, err := n.conn.OpenedEpoch(ctx)
	if err != nil {
		return 0, fmt.Errorf("opening an epoch: %w", err)
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
		return 0, fmt.Errorf("opening an epoch: %w", err)
	}
	_, err = n.conn.PersistEvent(ctx, eventEpochOpened, epoch, string(text))
	if err != nil {
		return 0, fmt.Errorf("opening an epoch: %w", err)
	}
	return epoch, nil
}

// rehash hashes the rows of leaves again, in the order of the leaves. Rows that carry the same
// seq are taken in the order in which they were sealed. A missing row is an error.
func rehash(ctx context.Context, conn *sealdriver.Conn, leaves []leaf) ([]seal.Hash, error) {
	found, err := hashRows(ctx, conn, leaves)
	if err != nil {
		return nil, err
	}
	hashes := make([]seal.Hash, 0, len(leaves))
	for _, of := range leaves {
		rows := found[of]
		if len(rows) == 0 {
			return nil, fmt.Errorf("the %s with seq %d is missing, so the trail is %w", of.kind, of.seq, ErrTampered)
		}
		hashes = append(hashes, rows[0].hash)
		found[of] = rows[1:]
	}
	return hashes, nil
}

// hashedRow is the hash of a row, and the id that names it.
type hashedRow struct {
	hash seal.Hash
	id   [16]byte
}

func hashRows(ctx context.Context, conn *sealdriver.Conn, leaves []leaf) (map[leaf][]hashedRow, error) {
	var records completeness.Set
	others := map[seal.Kind]completeness.Set{}
	for _, of := range leaves {
		if of.kind == seal.Record {
			records.Add(of.seq, of.seq)
			continue
		}
		set := others[of.kind]
		set.Add(of.seq, of.seq)
		others[of.kind] = set
	}
	found := map[leaf][]hashedRow{}
	var hasher seal.Hasher
	keep := func(kind seal.Kind) func(values [][]byte) error {
		return func(values [][]byte) error { return addHashed(found, &hasher, kind, values) }
	}
	if len(records) > 0 {
		if err := conn.LateRows(ctx, records, keep(seal.Record)); err != nil {
			return nil, fmt.Errorf("reading sealed records: %w", err)
		}
	}
	for kind, set := range others {
		for _, span := range set {
			if err := conn.Rows(ctx, kind, span.First, span.Last, keep(kind)); err != nil {
				return nil, fmt.Errorf("reading sealed rows: %w", err)
			}
		}
	}
	return found, nil
}

func addHashed(found map[leaf][]hashedRow, hasher *seal.Hasher, kind seal.Kind, values [][]byte) error {
	row := seal.Row{Kind: kind, Version: seal.LeafVersion, Values: values}
	hash, err := hasher.Hash(row)
	if err != nil {
		return err
	}
	seq, err := row.Seq()
	if err != nil {
		return err
	}
	hashed := hashedRow{hash: hash}
	copy(hashed.id[:], values[1])
	of := leaf{kind: kind, seq: seq}
	found[of] = append(found[of], hashed)
	return nil
}
