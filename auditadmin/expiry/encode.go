package expiry

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// encoding makes the lines of records and of their proofs on all cores, and passes them on in order.
type encoding struct {
	piece *encoded
	sent  *inOrder[*encoded]
}

// encoded is what a worker encodes at a time.
type encoded struct {
	tiles           []*sealer.SelectedTile
	waiting         int // rows in tiles
	made            []audit.Record
	records, proofs []byte // lines
}

// pieceRecords is how many records a worker encodes or checks at a time, or a few more.
const pieceRecords = 256

// encodingQueue are the pieces that may wait, so that the workers do not while tiles are read.
const encodingQueue = 64

func newEncoding(each func(*encoded)) *encoding {
	return &encoding{piece: &encoded{}, sent: newInOrder(encodingQueue, (*encoded).encode, func(p *encoded) error {
		each(p)
		return nil
	})}
}

// add returns the first error of the records before it.
func (e *encoding) add(tile *sealer.SelectedTile) error {
	e.piece.tiles = append(e.piece.tiles, tile)
	e.piece.waiting += len(tile.Rows)
	if e.piece.waiting < pieceRecords {
		return nil
	}
	return e.send()
}

func (e *encoding) send() error {
	piece := e.piece
	e.piece = &encoded{}
	return e.sent.send(piece)
}

// finish waits for what was added. Nothing can be added then.
func (e *encoding) finish() error {
	if len(e.piece.tiles) > 0 {
		_ = e.send() // finish returns the first error
	}
	return e.sent.finish()
}

func (p *encoded) encode() error {
	const usual = 1 << 9 // bytes of a record
	p.made = make([]audit.Record, 0, p.waiting)
	p.records = make([]byte, 0, p.waiting*usual)
	for _, tile := range p.tiles {
		if err := p.encodeTile(tile); err != nil {
			return err
		}
	}
	p.tiles = nil
	return nil
}

// encodeTile makes one line of proofs, or more if rows that are carried would make it too long.
func (p *encoded) encodeTile(tile *sealer.SelectedTile) error {
	const most = jsonl.MaxLine / 4 // of carried rows, which base64 makes longer
	var proof seal.RecordsProof
	carried, i := 0, 0
	for place := range tile.Places.All() {
		row, carries, err := p.encodeRow(&tile.Rows[i])
		if err != nil {
			return err
		}
		i++
		if carried > 0 && carried+carries > most {
			if err := p.addProof(tile, &proof); err != nil {
				return err
			}
			proof, carried = seal.RecordsProof{}, 0
		}
		carried += carries
		proof.Places.Add(place)
		proof.Rows = append(proof.Rows, row)
	}
	return p.addProof(tile, &proof)
}

// encodeRow makes the line of a record. carries is the size of the row, if the proof carries it.
func (p *encoded) encodeRow(sealed *seal.Row) (row seal.ArchivedRow, carries int, err error) {
	rec, err := sealed.Record()
	if err != nil {
		return row, 0, err
	}
	line, err := recordLine(rec)
	if err != nil {
		return row, 0, err
	}
	if len(line) > jsonl.MaxLine {
		return row, 0, fmt.Errorf("record %s: its line has %d bytes, and one that is longer than %d could not be read again: archive the others, with a filter that leaves it out", rec.AuditID, len(line), jsonl.MaxLine)
	}
	if row, err = seal.ArchiveRow(*sealed, line); err != nil {
		return row, 0, fmt.Errorf("record %s: %w", rec.AuditID, err)
	}
	if row.Carried != nil {
		for _, value := range sealed.Values {
			carries += len(value)
		}
	}
	p.made = append(p.made, rec)
	p.records = append(append(p.records, line...), '\n')
	return row, carries, nil
}

func (p *encoded) addProof(tile *sealer.SelectedTile, proof *seal.RecordsProof) (err error) {
	if proof.TileProof, err = tile.Prove(proof.Places); err != nil {
		return err
	}
	before := len(p.proofs)
	text, err := proof.AppendText(p.proofs)
	if err != nil {
		return err
	}
	if n := len(text) - before; n > jsonl.MaxLine {
		return fmt.Errorf("tile %d: a line of its proofs has %d bytes, and one that is longer than %d could not be read again: archive the others, with a filter that leaves its longest record out", proof.Tile, n, jsonl.MaxLine)
	}
	p.proofs = append(text, '\n')
	return nil
}

// recordLine is a record as import reads it.
func recordLine(rec audit.Record) ([]byte, error) {
	text, err := rec.MarshalJSON() // json.Marshal would read the result once more
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", rec.AuditID, err)
	}
	return format.EscapeJSON(text), nil
}
