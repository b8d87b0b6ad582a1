package sealer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

const (
	// partLeaves is the number of leaves that a worker verifies at a time: those of 256
	// tiles, which are one tile of the next level.
	partLeaves = tileWidth * tileWidth

	minSeq = math.MinInt64
)

// part is the verification of one part of the log, on a worker's connection.
type part struct {
	verifier *verifier
	conn     *sealdriver.Conn
	index    int64

	before  int64 // the highest seq of a record in the parts before
	listed  int64 // what their tiles say of it
	proved  bool  // the parts before gave both, and not the tile before this part
	leaves  []leaf
	hashes  []seal.Hash // as the tiles have them; zero where no tile does
	known   []bool      // that a tile has the hash
	rows    []seal.Hash // as the rows give them
	present []bool
	ids     []uuid.UUID
	result  partResult
	hasher  seal.Hasher

	expired    completeness.Set  // on record when the rows were read
	expiredNow *completeness.Set // on record when a row was missed; nil if none was
	erasures   []erasure
	unrecorded map[int]string    // texts that were replaced by digests, and no event says so
	looked     int               // how many seqs were looked up for leaves that share one
	claims     map[int]uuid.UUID // records that were sealed with a text that reads as erased
}

type partResult struct {
	index, before     int64
	listed            int64 // before the part
	listedThrough     int64
	hashes            []seal.Hash
	findings          []Finding
	others            []leaf // gaps, statements and events
	shared            []sharedSeq
	doubted           []Finding // rows after the last full tile that do not have their marks
	doubts            []doubt
	verified, awaited int64
	skipped           int64
	expired, erased   int64
	claimed           int64
	through           int64
	unsure            bool // the hash of a leaf is not known
	err               error
}

func (p *part) verify(ctx context.Context) partResult {
	p.result.index = p.index
	p.unrecorded, p.claims = map[int]string{}, map[int]uuid.UUID{}
	steps := []func(context.Context) error{p.readTiles, p.readExpired, p.readRecords, p.readLate, p.readOthers, p.judgeErasures, p.compare}
	if p.index*partLeaves < p.verifier.indexed {
		steps = []func(context.Context) error{p.readTiles, p.readExpired, p.readIndexed, p.readOthers, p.checkOthers, p.judgeErasures, p.compare}
	}
	if (p.index+1)*partLeaves <= p.verifier.after.Size {
		steps = []func(context.Context) error{p.readTiles, p.readOthers, p.skip}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			p.result.err = err
			break
		}
	}
	return p.result
}

// readTiles reads which leaves the part has, and their hashes.
func (p *part) readTiles(ctx context.Context) error {
	first := p.index * tileWidth
	count := min(p.verifier.size-p.index*partLeaves, partLeaves)
	tiles, err := p.conn.Tiles(ctx, p.verifier.result.Epoch, max(first-1, 0), first+(count+tileWidth-1)/tileWidth)
	if err != nil {
		return err
	}
	p.leaves, p.hashes, p.known = make([]leaf, 0, count), make([]seal.Hash, 0, count), make([]bool, 0, count)
	if first > 0 && len(tiles) > 0 && tiles[0].Index == first-1 {
		if !p.proved {
			p.before, p.listed = tiles[0].Through, tiles[0].Through
		}
		tiles = tiles[1:]
	}
	if p.isFirstRead() {
		if p.before, err = p.anchor(ctx); err != nil {
			return err
		}
	}
	p.result.before, p.result.listed = p.before, p.listed
	tiles = slices.DeleteFunc(tiles, func(t sealdriver.Tile) bool { return !p.verifier.isStored(t.Index) })
	edge := log{highest: p.listed}
	for at := range (count + tileWidth - 1) / tileWidth {
		i := slices.IndexFunc(tiles, func(t sealdriver.Tile) bool { return t.Index == first+at })
		width := int(min(tileWidth, count-at*tileWidth))
		switch {
		case i >= 0:
			if err := p.addTile(&edge, tiles[i], width); err != nil {
				return err
			}
		case width < tileWidth && first+at == p.verifier.size/tileWidth:
			p.addLeaves(p.verifier.tail, nil)
		default:
			return p.unreadable(first+at, "is missing")
		}
	}
	p.rows, p.present, p.ids = make([]seal.Hash, count), make([]bool, count), make([]uuid.UUID, count)
	p.result.through, p.result.listedThrough = p.before, p.listed
	for _, of := range p.leaves {
		if of.kind == seal.Record {
			p.result.through, p.result.listedThrough = max(p.result.through, of.seq), max(p.result.listedThrough, of.seq)
		} else {
			p.result.others = append(p.result.others, of)
		}
	}
	return nil
}

// skip takes the hashes that were sealed. The records were not asked for. The others are few, and
// only their rows tell which ones were sealed.
func (p *part) skip(context.Context) error {
	p.result.hashes = p.hashes
	for i, of := range p.leaves {
		switch {
		case of.kind == seal.Record:
			p.result.skipped++
		case !p.present[i]:
			p.result.findings = append(p.result.findings, p.missing(i))
		case p.rows[i] != p.hashes[i]:
			p.result.findings = append(p.result.findings, p.edited(i))
		default:
			p.result.verified++
		}
	}
	return nil
}

func (p *part) unreadable(tile int64, what string) error {
	return fmt.Errorf("tile %d of epoch %d %s, so it is not known which rows it covers: the log is %w: verify against an older checkpoint, and restore the tiles from a backup",
		tile, p.verifier.result.Epoch, what, ErrTampered)
}

// addTile adds a full tile, as far as the checkpoint covers it. What a tile says of the seqs of
// its leaves decides which records are looked for, so it must be what its leaves say.
func (p *part) addTile(edge *log, tile sealdriver.Tile, width int) error {
	leaves, err := leavesOf(tile)
	if err != nil {
		return p.unreadable(tile.Index, "has a damaged list of leaves")
	}
	if (seal.Tile{Index: tile.Index, Hashes: tile.Hashes}).Root() != tile.Root {
		p.result.findings = append(p.result.findings, Finding{Fault: Damaged, Text: fmt.Sprintf("tile %d: its hashes do not give its root", tile.Index)})
	}
	edge.lateFrom, edge.lateThrough = 0, 0
	for _, of := range leaves {
		edge.note(of)
	}
	edge.tail = edge.tail[:0]
	if tile.Through != edge.highest || tile.LateFrom != edge.lateFrom || tile.LateThrough != edge.lateThrough {
		p.result.findings = append(p.result.findings, Finding{Fault: Damaged, Text: fmt.Sprintf("tile %d: what it says of the seqs of its leaves is not so", tile.Index)})
	}
	p.addLeaves(leaves[:width], tile.Hashes[:width])
	return nil
}

func (p *part) addLeaves(leaves []leaf, hashes []seal.Hash) {
	for i, of := range leaves {
		var hash seal.Hash
		if hashes != nil {
			hash = hashes[i]
		}
		p.leaves, p.hashes, p.known = append(p.leaves, of), append(p.hashes, hash), append(p.known, hashes != nil)
	}
}

// readLate matches the records that were sealed after their neighbours.
func (p *part) readLate(ctx context.Context) error {
	highest := p.before
	var late []leaf
	var indexes []int
	for i, of := range p.leaves {
		switch {
		case of.kind != seal.Record:
		case of.seq > highest:
			highest = of.seq
		default:
			late, indexes = append(late, of), append(indexes, i)
		}
	}
	return p.match(ctx, late, indexes)
}

// readOthers matches gaps, statements and events.
func (p *part) readOthers(ctx context.Context) error {
	var others []leaf
	var indexes []int
	for i, of := range p.leaves {
		if of.kind != seal.Record {
			others, indexes = append(others, of), append(indexes, i)
		}
	}
	return p.match(ctx, others, indexes)
}

// match takes for each leaf the row with its hash, or else the first one with its seq.
func (p *part) match(ctx context.Context, leaves []leaf, indexes []int) error {
	if len(leaves) == 0 {
		return nil
	}
	found, err := hashRows(ctx, p.conn, leaves)
	if err != nil {
		return err
	}
	for at, of := range leaves {
		rows, i := found[of], indexes[at]
		if len(rows) == 0 {
			continue
		}
		row := p.resolve(i, rows[0])
		if j := slices.IndexFunc(rows, func(r hashedRow) bool { return p.fits(i, p.resolve(i, r).hash) }); j >= 0 {
			row = p.resolve(i, rows[j])
		}
		p.rows[i], p.present[i], p.ids[i] = row.hash, true, row.id
		if len(rows) > 1 && of.kind != seal.Record {
			p.result.shared = append(p.result.shared, sharedSeq{leaf: of, hash: row.hash})
		}
	}
	return nil
}

// idOf is the second value of every kind of row.
func idOf(values [][]byte) (id uuid.UUID) {
	copy(id[:], values[1])
	return id
}
