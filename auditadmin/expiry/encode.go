package expiry

import (
	"encoding/json"
	"fmt"

	"github.com/hoc-analytics/coordaudit/sealer"
)

// encoding makes the lines of records on all cores, and passes them on in order.
type encoding struct {
	piece *encoded
	sent  *inOrder[*encoded]
}

// encoded is what a worker encodes at a time.
type encoded struct {
	selected []sealer.Selected
	lines    []lines
}

type lines struct{ record, proof []byte }

func newEncoding(each func(*lines)) *encoding {
	return &encoding{piece: &encoded{}, sent: newInOrder((*encoded).encode, func(p *encoded) error {
		for i := range p.lines {
			each(&p.lines[i])
		}
		return nil
	})}
}

// add returns the first error of the records before it.
func (e *encoding) add(of sealer.Selected) error {
	e.piece.selected = append(e.piece.selected, of)
	const most = 256
	if len(e.piece.selected) < most {
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
	if len(e.piece.selected) > 0 {
		_ = e.send() // finish returns the first error
	}
	return e.sent.finish()
}

func (p *encoded) encode() error {
	p.lines = make([]lines, 0, len(p.selected))
	for i := range p.selected {
		made, err := encodeLines(&p.selected[i])
		if err != nil {
			return err
		}
		p.lines = append(p.lines, made)
	}
	p.selected = nil
	return nil
}

func encodeLines(of *sealer.Selected) (made lines, err error) {
	if made.record, err = recordLine(of.Record); err != nil {
		return made, err
	}
	bundle, err := of.Proof.MarshalText()
	if err == nil {
		made.proof, err = json.Marshal(sealer.ProofLine{ProofOf: of.Record.AuditID, Bundle: string(bundle)})
	}
	if err != nil {
		return made, fmt.Errorf("record %s: %w", of.Record.AuditID, err)
	}
	return made, nil
}
