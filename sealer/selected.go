package sealer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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

// Selected is a record as the table holds it, and its proof. In the proof, the digest of an
// erased text takes its place.
type Selected struct {
	Record audit.Record
	Proof  seal.Proof
}

// ProveSelected calls each with every record of a selection whose leaf is in a full tile of
// the checkpoint, and that no hold names, in the order of the log. The error matches
// [ErrTampered] if one of them is not as it was sealed, or one of package seal if the
// checkpoint is not one of this log.
func ProveSelected(ctx context.Context, pool *pgxpool.Pool, config SelectConfig, each func(Selected) error) error {
	s := &selecting{config: config, each: each, kept: keptTiles{hashes: map[tileAt][]seal.Hash{}}}
	if err := s.run(ctx, pool); err != nil {
		return fmt.Errorf("proving the selected records: %w", err)
	}
	return nil
}

type selecting struct {
	config SelectConfig
	each   func(Selected) error
	conn   *sealdriver.Conn
	at     *sealdriver.Checkpoint
	kept   keptTiles
	tail   []seal.Hash // nil until a proof needs it
}

func (s *selecting) run(ctx context.Context, pool *pgxpool.Pool) (err error) {
	if s.conn, err = sealdriver.Open(ctx, pool, s.config.Schema, sealdriver.Reader); err != nil {
		return err
	}
	defer s.conn.Close(ctx)
	if s.at, err = storedAt(ctx, s.conn, s.config.Checkpoint, s.config.Verifier); err != nil {
		return err
	}
	full := s.at.Size / tileWidth
	for first := int64(0); first < full; first += tileWidth {
		tiles, err := s.conn.Tiles(ctx, s.at.Epoch, first, min(first+tileWidth, full))
		if err != nil {
			return err
		}
		if int64(len(tiles)) != min(tileWidth, full-first) {
			return fmt.Errorf("the log is %w: of its tiles, one of %d to %d is missing: run coordaudit verify", ErrTampered, first, first+tileWidth-1)
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

// found is where a record's leaf is, and the row that has its hash.
type found struct {
	record audit.Record
	row    seal.Row
}

// part proves the records of up to 256 tiles.
func (s *selecting) part(ctx context.Context, tiles []sealdriver.Tile) error {
	var seqs completeness.Set
	places := map[int64][]int{} // by seq
	for at, tile := range tiles {
		leaves, err := leavesOf(tile)
		if err != nil {
			return fmt.Errorf("tile %d is %w: %w: run coordaudit verify", tile.Index, ErrTampered, err)
		}
		for i, of := range leaves {
			if of.kind == seal.Record {
				seqs.Add(of.seq, of.seq)
				places[of.seq] = append(places[of.seq], at*tileWidth+i)
			}
		}
	}
	rows := map[int]found{}
	err := s.conn.SelectedRows(ctx, s.config.selection(), seqs, func(values [][]byte) error {
		return s.match(rows, tiles, places, values)
	})
	if err != nil {
		return err
	}
	for at := range tiles {
		if err := s.prove(ctx, tiles[at], at, rows); err != nil {
			return err
		}
	}
	return nil
}

// match finds the leaf of a row.
func (s *selecting) match(rows map[int]found, tiles []sealdriver.Tile, places map[int64][]int, values [][]byte) error {
	row := seal.Row{Kind: seal.Record, Version: seal.LeafVersion, Values: sealdriver.Copied(values)}
	seq, err := row.Seq()
	if err != nil {
		return err
	}
	record, err := row.Record()
	if err != nil {
		return err
	}
	for _, of := range append([]seal.Row{row}, withDigests(row)...) {
		hash, err := of.Hash()
		if err != nil {
			return err
		}
		for _, place := range places[seq] {
			if _, taken := rows[place]; !taken && tiles[place/tileWidth].Hashes[place%tileWidth] == hash {
				rows[place] = found{record: record, row: of}
				return nil
			}
		}
	}
	return fmt.Errorf("record %s, with seq %d, is %w: run coordaudit verify", record.AuditID, seq, ErrTampered)
}

// prove proves the records of one tile. The path of a leaf has eight hashes of its own tile, and
// then the same ones for all of them.
func (s *selecting) prove(ctx context.Context, tile sealdriver.Tile, at int, rows map[int]found) error {
	var upper []seal.Hash
	var levels [][]seal.Hash
	for i := range tileWidth {
		of, ok := rows[at*tileWidth+i]
		if !ok {
			continue
		}
		if levels == nil {
			levels = pyramid(tile.Hashes)
			path, err := s.path(ctx, tile)
			if err != nil {
				return tilesFault(err)
			}
			upper = path[seal.TileHeight:]
		}
		path := make([]seal.Hash, 0, seal.TileHeight+len(upper))
		for level, index := 0, i; level < seal.TileHeight; level, index = level+1, index/2 {
			path = append(path, levels[level][index^1])
		}
		proof := seal.Proof{Row: of.row, Index: tile.Index*tileWidth + int64(i), Hashes: append(path, upper...), Checkpoint: s.config.Checkpoint}
		if err := s.each(Selected{Record: of.record, Proof: proof}); err != nil {
			return err
		}
	}
	return nil
}

// path is the path of the first leaf of a tile.
func (s *selecting) path(ctx context.Context, tile sealdriver.Tile) ([]seal.Hash, error) {
	s.kept.put(tileAt{index: tile.Index}, tile.Hashes)
	prove := func() ([]seal.Hash, error) {
		reader := tiles{ctx: ctx, conn: s.conn, epoch: s.at.Epoch, size: s.at.Size, tail: s.tail, kept: &s.kept}
		return seal.ProveInclusion(s.at.Size, tile.Index*tileWidth, s.at.Root, reader)
	}
	path, err := prove()
	if s.tail != nil || !errors.Is(err, errTileMissing) || s.at.Size%tileWidth == 0 {
		return path, err
	}
	// The rows after the last full tile are hashed once a proof needs them.
	if _, s.tail, err = tailAt(ctx, s.conn, s.at); err != nil {
		return nil, err
	}
	return prove()
}

// pyramid returns the hashes of a full tile, and those of each level above them.
func pyramid(hashes []seal.Hash) (levels [][]seal.Hash) {
	for len(hashes) > 1 {
		levels = append(levels, hashes)
		next := make([]seal.Hash, len(hashes)/2)
		for i := range next {
			next[i] = nodeHash(&hashes[2*i], &hashes[2*i+1])
		}
		hashes = next
	}
	return levels
}

// nodeHash is tlog.NodeHash without allocating.
func nodeHash(left, right *seal.Hash) seal.Hash {
	const size = len(seal.Hash{})
	node := [1 + 2*size]byte{1}
	copy(node[1:], left[:])
	copy(node[1+size:], right[:])
	return sha256.Sum256(node[:])
}
