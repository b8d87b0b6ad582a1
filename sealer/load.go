package sealer

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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
	if err := n.mustBeOpened(max(opened, epochOf(last)), exported); err != nil {
		return err
	}
	switch {
	case last == nil && opened == 0, last != nil && opened <= last.Epoch:
		if err := n.mustHaveExports(last, exported); err != nil {
			return err
		}
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

func epochOf(last *sealdriver.Checkpoint) int64 {
	if last == nil {
		return 0
	}
	return last.Epoch
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
	epoch, checkpoint, err := n.read(string(signed))
	if err != nil {
		return nil, fmt.Errorf("%w: the last exported checkpoint is not one of this key's log, export to another place or use the right key: %w", ErrForked, err)
	}
	return &exportedCheckpoint{epoch: epoch, checkpoint: checkpoint, signed: string(signed)}, nil
}

// mustHaveExports refuses a place that has none of a log's checkpoints: nothing could be compared
// with them. The last stored one may not be exported yet, but those before it are.
func (n *session) mustHaveExports(last *sealdriver.Checkpoint, exported *exportedCheckpoint) error {
	if last == nil || last.PreviousSize == 0 || exported != nil && exported.epoch >= last.Epoch {
		return nil
	}
	return n.newPlace(fmt.Sprintf("the database has checkpoints of %d leaves and fewer of epoch %d, which were exported", last.PreviousSize, last.Epoch))
}

// newPlace refuses a place without what was exported, unless it is said to be new.
func (n *session) newPlace(exported string) error {
	if n.sealer.config.NewPlace {
		return nil
	}
	return cannot(exported + ", and the place of the exports has none of them: mount the right one; if they are lost, say that the place is new (coordaudit seal --new-checkpoints, Config.NewPlace)")
}

// resume rebuilds the right edge of the log. Its leaves after the last full tile are hashed
// again, so a change of one of these rows is found here.
func (n *session) resume(ctx context.Context, last *sealdriver.Checkpoint) error {
	n.log.epoch, n.log.tree = 1, &seal.Tree{}
	if last == nil {
		return nil
	}
	if n.ofAnotherKey(last.Note) {
		return cannot(fmt.Sprintf("the last checkpoint of epoch %d is signed by another key: use that one; for a new key, open a new epoch with it (coordaudit seal --new-epoch REASON)", last.Epoch))
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
	epoch, signed, err := n.read(last.Note)
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
	return storedEdge(ctx, n.conn, last.Epoch, last.Size, hashes)
}

// storedEdge completes the edge of a log of a size by the stored roots of its full tiles.
func storedEdge(ctx context.Context, conn *sealdriver.Conn, epoch, size int64, tail []seal.Hash) ([][]seal.Hash, error) {
	edge := [][]seal.Hash{tail}
	for level, count := 0, size/tileWidth; count > 0; level, count = level+1, count/tileWidth {
		roots, err := conn.TileRoots(ctx, epoch, level, count-count%tileWidth, count)
		if err != nil {
			return nil, fmt.Errorf("reading tiles: %w", err)
		}
		edge = append(edge, roots)
	}
	return edge, nil
}

func (n *session) resumeTail(ctx context.Context, last *sealdriver.Checkpoint, tail []leaf) error {
	var before []leaf
	if full := last.Size / tileWidth; full > 0 {
		tiles, err := n.conn.Tiles(ctx, last.Epoch, full-1, full)
		if err != nil {
			return fmt.Errorf("reading tiles: %w", err)
		}
		if len(tiles) != 1 {
			return n.tampered(last.Size, fmt.Sprintf("tile %d is missing", full-1))
		}
		n.log.highest = tiles[0].Through
		if before, err = leavesOf(tiles[0]); err != nil {
			return n.tampered(last.Size, fmt.Sprintf("tile %d: %v", full-1, err))
		}
	}
	for _, of := range tail {
		n.log.note(of)
	}
	return n.checkThrough(last, append(before, tail...))
}

// checkThrough requires that a checkpoint says of each kind that it has come as far as its last
// leaves. What lies behind that would be sealed twice.
func (n *session) checkThrough(last *sealdriver.Checkpoint, leaves []leaf) error {
	through := map[seal.Kind]int64{
		seal.Record: last.Through.Records, seal.Gap: last.Through.Gaps, seal.Statement: last.Through.Statements, seal.Event: last.Through.Events,
	}
	if n.log.highest > through[seal.Record] {
		return n.tampered(last.Size, fmt.Sprintf("it says that each record up to seq %d is sealed, and covers the one with seq %d", through[seal.Record], n.log.highest))
	}
	opening := last.Epoch > 1 && last.Size < 2*tileWidth // the first of these leaves opened the epoch, before those below it
	for i, of := range leaves {
		if of.seq > through[of.kind] && (i > 0 || !opening) {
			return n.tampered(last.Size, fmt.Sprintf("it says that each %s up to seq %d is sealed, and covers the one with seq %d", of.kind, through[of.kind], of.seq))
		}
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
	n.fence.GoAround(n.through.Records, open)
	return nil
}

// compare checks the log in the database against the last exported checkpoint. If the
// database is ahead, its last checkpoint was not exported before the process ended.
func (n *session) compare(ctx context.Context, last *sealdriver.Checkpoint, exported *exportedCheckpoint) error {
	if exported == nil || exported.epoch < n.log.epoch {
		if last == nil {
			return nil
		}
		return n.exportAgain(ctx, last)
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
		return n.exportAgain(ctx, last)
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

// exportAgain exports a stored checkpoint whose export is missing, once it is sure to be
// replicated as far as a commit is. It is signed again, and must be what this key signed before:
// otherwise its leaves need not be those of rows, and nothing that is exported can be taken back.
func (n *session) exportAgain(ctx context.Context, stored *sealdriver.Checkpoint) error {
	signed, err := n.signAgain(stored)
	if err != nil {
		return err
	}
	if err := n.conn.Confirm(ctx); err != nil {
		return fmt.Errorf("confirming the checkpoint of size %d: %w", stored.Size, err)
	}
	return n.export(ctx, stored.Size, signed)
}

// signAgain signs a stored checkpoint, and refuses one that has another signature. There is no
// public key here, but Ed25519 gives a text one signature only. A signer that adds randomness,
// which two signatures tell, proves nothing.
func (n *session) signAgain(stored *sealdriver.Checkpoint) ([]byte, error) {
	of := seal.Checkpoint{Size: stored.Size, Root: stored.Root}
	signed, err := n.sign(of)
	if err != nil || bytes.Equal(signed, signedHead([]byte(stored.Note))) {
		return signed, err
	}
	again, err := n.sign(of)
	if err == nil && bytes.Equal(again, signed) {
		err = n.tampered(stored.Size, "this key has not signed it")
	}
	return again, err
}
