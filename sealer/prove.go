package sealer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Prove returns a bundle that proves offline that a record is in the log, under the last
// stored checkpoint. Verify it with the exported checkpoints' public key:
// [github.com/hoc-analytics/coordaudit/seal.Proof.Verify].
//
// The error matches [audit.ErrNotFound], [ErrNotSealed], or [ErrTampered] if the record or
// the tiles are not as they were sealed, or if the record was inserted among sealed ones. schema may be empty.
func Prove(ctx context.Context, pool *pgxpool.Pool, schema string, id uuid.UUID) (seal.Proof, error) {
	p, err := OpenProver(ctx, pool, schema)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s: %w", id, err)
	}
	defer p.Close(ctx)
	return p.Prove(ctx, id)
}

// Prover makes many proofs under one checkpoint, on a connection of its own. It is not safe
// for concurrent use.
type Prover struct {
	conn   *sealdriver.Conn
	last   *sealdriver.Checkpoint // that the proofs lead to
	tail   []leaf
	hashes []seal.Hash // of the tail
	kept   keptTiles
	closed bool
}

// OpenProver connects, and takes the last stored checkpoint. Close the Prover. The error
// matches [ErrNotSealed] if there is no checkpoint, or [ErrTampered] if it is not as it was
// stored. schema may be empty.
func OpenProver(ctx context.Context, pool *pgxpool.Pool, schema string) (*Prover, error) {
	return openProver(ctx, pool, schema, (*Prover).load)
}

// OpenProverAt is [OpenProver] under a checkpoint as it was exported. Each bundle ends with
// that text, and so with the cosignatures of its witnesses. A record that it does not cover
// is [ErrNotSealed] here. The error matches [ErrForked] if the database has another
// checkpoint of that size or none, or one of package seal.
func OpenProverAt(ctx context.Context, pool *pgxpool.Pool, schema string, signed []byte, key note.Verifier) (*Prover, error) {
	return openProver(ctx, pool, schema, func(p *Prover, ctx context.Context) error {
		return p.loadAt(ctx, signed, key)
	})
}

func openProver(ctx context.Context, pool *pgxpool.Pool, schema string, load func(*Prover, context.Context) error) (*Prover, error) {
	conn, err := sealdriver.Open(ctx, pool, schema, sealdriver.Reader)
	if err != nil {
		return nil, err
	}
	p := &Prover{conn: conn, kept: keptTiles{hashes: map[tileAt][]seal.Hash{}}}
	if err := load(p, ctx); err != nil {
		p.Close(ctx)
		return nil, err
	}
	return p, nil
}

// Close closes the connection. Later calls return [audit.ErrClosed].
func (p *Prover) Close(ctx context.Context) {
	p.closed = true
	p.conn.Close(ctx)
}

func (p *Prover) load(ctx context.Context) (err error) {
	if p.last, err = p.conn.LastCheckpoint(ctx); err != nil {
		return err
	}
	if p.last == nil {
		return fmt.Errorf("%w: no checkpoint is stored: run coordaudit seal", ErrNotSealed)
	}
	p.tail, p.hashes, err = tailOf(ctx, p.conn, p.last)
	return err
}

func (p *Prover) loadAt(ctx context.Context, signed []byte, key note.Verifier) (err error) {
	if p.last, err = storedAt(ctx, p.conn, signed, key); err != nil {
		return err
	}
	p.last.Note = string(signed) // with what its witnesses added
	p.tail, p.hashes, err = tailAt(ctx, p.conn, p.last)
	return err
}

// Prove is [Prove] under the Prover's checkpoint.
func (p *Prover) Prove(ctx context.Context, id uuid.UUID) (seal.Proof, error) {
	proof, err := p.prove(ctx, id)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s: %w", id, err)
	}
	return proof, nil
}

func (p *Prover) prove(ctx context.Context, id uuid.UUID) (seal.Proof, error) {
	if p.closed {
		return seal.Proof{}, fmt.Errorf("the prover is %w", audit.ErrClosed)
	}
	values, err := p.conn.Record(ctx, id)
	if err != nil {
		return seal.Proof{}, err
	}
	row := seal.Row{Kind: seal.Record, Version: seal.LeafVersion, Values: values}
	seq, err := row.Seq()
	if err != nil {
		return seal.Proof{}, err
	}
	row, index, err := p.findRow(ctx, seq, row)
	if err != nil {
		return seal.Proof{}, err
	}
	last := p.last
	reader := tiles{ctx: ctx, conn: p.conn, epoch: last.Epoch, size: last.Size, tail: p.hashes, kept: &p.kept}
	path, err := seal.ProveInclusion(last.Size, index, last.Root, reader)
	if err != nil {
		return seal.Proof{}, tilesFault(err)
	}
	return seal.Proof{Row: row, Index: index, Hashes: path, Checkpoint: []byte(last.Note)}, nil
}

// findRow finds the place of a record, as it is or as it was before texts of it were erased.
func (p *Prover) findRow(ctx context.Context, seq int64, row seal.Row) (seal.Row, int64, error) {
	var first error
	for _, of := range append([]seal.Row{row}, withDigests(row)...) {
		hash, err := of.Hash()
		if err != nil {
			return row, 0, err
		}
		index, err := p.findLeaf(ctx, seq, idOf(row.Values), hash)
		if err == nil {
			return of, index, nil
		}
		if first == nil {
			first = err
		}
	}
	return row, 0, first
}

// findLeaf finds the place of a record with a hash.
func (p *Prover) findLeaf(ctx context.Context, seq int64, id uuid.UUID, hash seal.Hash) (int64, error) {
	if index, found, err := p.findListed(ctx, id, hash); err != nil || found {
		return index, err
	}
	of, seen := leaf{kind: seal.Record, seq: seq}, false
	for i, at := range p.tail {
		seen = seen || at == of
		if at == of && p.hashes[i] == hash {
			return p.last.Size - int64(len(p.tail)-i), nil
		}
	}
	places, err := placesOf(ctx, p.conn, p.last.Epoch, seq)
	if errors.Is(err, errLeaves) {
		return 0, fmt.Errorf("the log is %w, by its tiles: run coordaudit verify: %w", ErrTampered, err)
	}
	if err != nil {
		return 0, err
	}
	places = slices.DeleteFunc(places, func(at place) bool { return at.index >= p.last.Size })
	for _, at := range places {
		if at.hash == hash {
			p.kept.put(tileAt{index: at.index / tileWidth}, at.tile)
			return at.index, nil
		}
	}
	seen = seen || len(places) > 0
	if seen {
		return 0, fmt.Errorf("the record with seq %d is %w: run coordaudit verify", seq, ErrTampered)
	}
	distributed, err := p.conn.Distributed(ctx)
	if err != nil {
		return 0, err
	}
	// A verification calls it inserted. On a cluster it is sealed as a late one.
	if !distributed && seq <= p.last.Through.Records && !p.last.Awaited.Has(seq) {
		return 0, fmt.Errorf("the trail is %w: the record with seq %d was never sealed, although its neighbours were: run coordaudit verify", ErrTampered, seq)
	}
	return 0, fmt.Errorf("%w: the checkpoint covers records up to seq %d, and this one has %d: wait for the sealer, or prove it under a newer checkpoint", ErrNotSealed, p.last.Through.Records, seq)
}

// findListed finds the place of a record on a cluster, which lists it.
func (p *Prover) findListed(ctx context.Context, id uuid.UUID, hash seal.Hash) (index int64, found bool, err error) {
	if distributed, err := p.conn.Distributed(ctx); err != nil || !distributed {
		return 0, false, err
	}
	if has, err := p.conn.HasLeaves(ctx); err != nil || !has {
		return 0, false, err
	}
	index, listed, err := p.conn.LeafIndex(ctx, p.last.Epoch, sealdriver.Leaf{Kind: seal.Record, ID: id})
	if err != nil || !listed || index >= p.last.Size-int64(len(p.tail)) {
		return 0, false, err
	}
	tile, err := p.conn.TileHashes(ctx, p.last.Epoch, 0, index/tileWidth)
	if err != nil || len(tile) != tileWidth || tile[index%tileWidth] != hash {
		return 0, false, err
	}
	p.kept.put(tileAt{index: index / tileWidth}, tile)
	return index, true, nil
}
