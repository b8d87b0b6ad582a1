package sealer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// SelectConfig says which records [ProveSelected] proves, and under which checkpoint.
type SelectConfig struct {
	// Checkpoint is a signed checkpoint of the last epoch, as it was exported. Required.
	Checkpoint []byte

	// Verifier is the public key of the log. Required.
	Verifier note.Verifier

	// Schema is the schema of the trail. Defaults to the first on the search_path that has
	// one.
	Schema string

	// Scope says whose records. Its zero value is refused.
	Scope audit.Scope

	// Classes are the classes of envelopes. Defaults to all.
	Classes []audit.EnvelopeClass

	// Before bounds the records: the database stored them earlier. Required.
	Before time.Time
}

func (c SelectConfig) selection() sealdriver.Selection {
	return sealdriver.Select(c.Scope, c.Classes, c.Before)
}

// SelectedTile has the selected records of one full tile, and what proves them.
type SelectedTile struct {
	Index  int64
	Places seal.Places

	// Rows are as they were sealed, one for each place: the digest of an erased text takes its
	// place.
	Rows []seal.Row

	hashes []seal.Hash
	proof  seal.TileProof // of all places
}

// Prove proves the leaves of some of the tile's places. The error matches
// [github.com/hoc-analytics/coordaudit/seal.ErrBounds] if there is none.
func (t *SelectedTile) Prove(places seal.Places) (seal.TileProof, error) {
	if places == t.Places {
		return t.proof, nil
	}
	hashes, err := seal.ProveTile(t.hashes, places)
	return seal.TileProof{Tile: t.Index, Places: places, Hashes: hashes, Path: t.proof.Path}, err
}

// ProveSelected calls each with every tile that has records of a selection, in the order of the
// log, if the tile is full under the checkpoint. Records that a hold names are left out. The tile is
// the caller's, who may prove it on another goroutine. The error matches [ErrTampered] if a record
// is not as it was sealed, or one of package seal if the checkpoint is not one of this log.
func ProveSelected(ctx context.Context, pool *pgxpool.Pool, config SelectConfig, each func(*SelectedTile) error) error {
	s := &selecting{config: config, each: each, kept: keptTiles{hashes: map[tileAt][]seal.Hash{}}}
	if err := s.run(ctx, pool); err != nil {
		return fmt.Errorf("proving the selected records: %w", err)
	}
	return nil
}

type selecting struct {
	config SelectConfig
	each   func(*SelectedTile) error
	conn   *sealdriver.Conn
	at     *sealdriver.Checkpoint
	hasher seal.Hasher
	kept   keptTiles
	tail   []seal.Hash // nil until a proof needs it
	above  aboveTiles
}

// selectedTiles is how many tiles are read at a time. They take some ten megabytes, and their query
// is short, so that the server can turn to others.
const selectedTiles = 64

func (s *selecting) run(ctx context.Context, pool *pgxpool.Pool) (err error) {
	if s.conn, err = sealdriver.Open(ctx, pool, s.config.Schema, sealdriver.Reader); err != nil {
		return err
	}
	defer s.conn.Close(ctx)
	if s.at, err = storedAt(ctx, s.conn, s.config.Checkpoint, s.config.Verifier); err != nil {
		return err
	}
	full := s.at.Size / tileWidth
	for first := int64(0); first < full; first += selectedTiles {
		end := min(first+selectedTiles, full)
		tiles, err := s.conn.Tiles(ctx, s.at.Epoch, first, end)
		if err != nil {
			return err
		}
		if int64(len(tiles)) != end-first {
			return fmt.Errorf("the log is %w: of its tiles, one of %d to %d is missing: run coordaudit verify", ErrTampered, first, end-1)
		}
		if err := s.part(ctx, tiles); err != nil {
			return err
		}
	}
	return nil
}

// storedAt returns what the database has stored of an exported checkpoint. The error matches
// [ErrForked] if that is another one or nothing, or one of package seal.
func storedAt(ctx context.Context, conn *sealdriver.Conn, signed []byte, key note.Verifier) (*sealdriver.Checkpoint, error) {
	epoch, checkpoint, err := seal.OpenLog(signed, key)
	if err != nil {
		return nil, err
	}
	stored, err := conn.CheckpointOf(ctx, epoch, checkpoint)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, fmt.Errorf("%w: the database has no such checkpoint of epoch %d and size %d: run coordaudit verify with the exported one", ErrForked, epoch, checkpoint.Size)
	}
	return stored, nil
}

// selectedPart are the leaves of records of some tiles, in the order of their seqs, and the rows
// that have them.
type selectedPart struct {
	tiles  []sealdriver.Tile
	leaves []selectedLeaf
	next   int // the first leaf that a row may have, as these come in the order of seq
	rows   []seal.Row
}

type selectedLeaf struct {
	seq   int64
	place int // in all tiles of the part
}

// part proves the records of some tiles.
func (s *selecting) part(ctx context.Context, tiles []sealdriver.Tile) error {
	p := &selectedPart{tiles: tiles, rows: make([]seal.Row, len(tiles)*tileWidth)}
	var seqs completeness.Set
	for at, tile := range tiles {
		leaves, err := leavesOf(tile)
		if err != nil {
			return fmt.Errorf("tile %d is %w: %w: run coordaudit verify", tile.Index, ErrTampered, err)
		}
		for i, of := range leaves {
			if of.kind == seal.Record {
				seqs.Add(of.seq, of.seq)
				p.leaves = append(p.leaves, selectedLeaf{seq: of.seq, place: at*tileWidth + i})
			}
		}
	}
	slices.SortFunc(p.leaves, func(a, b selectedLeaf) int { return cmp.Or(cmp.Compare(a.seq, b.seq), a.place-b.place) })
	var left []seal.Row // that have no leaf here
	err := s.conn.SelectedRows(ctx, s.config.selection(), seqs, func(values [][]byte) error {
		row := seal.Row{Kind: seal.Record, Version: seal.LeafVersion, Values: sealdriver.Copied(values)}
		found, err := p.match(&s.hasher, row)
		if err == nil && !found {
			left = append(left, row)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range left {
		if err := s.judge(ctx, row); err != nil {
			return err
		}
	}
	for at := range tiles {
		if err := s.prove(ctx, &tiles[at], p.rows[at*tileWidth:(at+1)*tileWidth]); err != nil {
			return err
		}
	}
	return nil
}

// match finds the leaf of a row.
func (p *selectedPart) match(hasher *seal.Hasher, row seal.Row) (found bool, err error) {
	seq, err := row.Seq()
	if err != nil {
		return false, err
	}
	for p.next < len(p.leaves) && p.leaves[p.next].seq < seq {
		p.next++
	}
	for _, of := range append([]seal.Row{row}, withDigests(row)...) {
		hash, err := hasher.Hash(of)
		if err != nil {
			return false, err
		}
		for i := p.next; i < len(p.leaves) && p.leaves[i].seq == seq; i++ {
			at := p.leaves[i].place
			if p.rows[at].Values == nil && p.tiles[at/tileWidth].Hashes[at%tileWidth] == hash {
				p.rows[at] = of
				return true, nil
			}
		}
	}
	return false, nil
}

// judge fails unless another part of the log has the leaf of a row: two records may share a seq.
func (s *selecting) judge(ctx context.Context, row seal.Row) error {
	seq, err := row.Seq()
	if err != nil {
		return err
	}
	places, err := placesOf(ctx, s.conn, s.at.Epoch, seq)
	if err != nil && !errors.Is(err, errLeaves) { // the part of a damaged tile says so
		return err
	}
	for _, of := range append([]seal.Row{row}, withDigests(row)...) {
		hash, err := s.hasher.Hash(of)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(places, func(at place) bool { return at.hash == hash }) {
			return nil
		}
	}
	return fmt.Errorf("record %s, with seq %d, is %w: run coordaudit verify", idOf(row.Values), seq, ErrTampered)
}

// prove passes the records of one tile on, if there are any. rows has one for each place that is
// selected.
func (s *selecting) prove(ctx context.Context, tile *sealdriver.Tile, rows []seal.Row) error {
	selected := &SelectedTile{Index: tile.Index, hashes: tile.Hashes}
	var leaves []seal.Hash
	for place := range rows {
		if rows[place].Values != nil {
			selected.Places.Add(uint8(place))
			selected.Rows, leaves = append(selected.Rows, rows[place]), append(leaves, tile.Hashes[place])
		}
	}
	if leaves == nil {
		return nil
	}
	path, err := s.path(ctx, tile)
	if err != nil {
		return tilesFault(err)
	}
	hashes, err := seal.ProveTile(tile.Hashes, selected.Places)
	if err != nil {
		return err
	}
	selected.proof = seal.TileProof{Tile: tile.Index, Places: selected.Places, Hashes: hashes, Path: path}
	if err := selected.proof.Check(s.at.Size, s.at.Root, leaves); err != nil {
		return fmt.Errorf("the log is %w, by its tiles: run coordaudit verify: %w", ErrTampered, err)
	}
	return s.each(selected)
}
