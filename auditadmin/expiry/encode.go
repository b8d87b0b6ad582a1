package expiry

import (
	"encoding/json"
	"fmt"
	"runtime"
	"sync"

	"github.com/hoc-analytics/coordaudit/sealer"
)

// encoding makes the lines of records on all cores, and passes them on in order.
type encoding struct {
	piece   *encoded
	todo    chan *encoded
	order   chan *encoded
	working sync.WaitGroup
	ended   chan struct{}

	mu   sync.Mutex
	err  error // the first
	once sync.Once
}

// encoded is what a worker encodes at a time.
type encoded struct {
	selected []sealer.Selected
	lines    []lines
	err      error
	done     chan struct{}
}

type lines struct{ record, proof []byte }

func newEncoding(each func(*lines)) *encoding {
	workers := runtime.GOMAXPROCS(0)
	e := &encoding{todo: make(chan *encoded), order: make(chan *encoded, 2*workers), ended: make(chan struct{})}
	for range workers {
		e.working.Go(func() {
			for piece := range e.todo {
				piece.encode()
				close(piece.done)
			}
		})
	}
	go func() {
		defer close(e.ended)
		for piece := range e.order {
			<-piece.done
			e.fail(piece.err)
			for i := range piece.lines {
				each(&piece.lines[i])
			}
		}
	}()
	return e
}

func (e *encoding) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

func (e *encoding) failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// add returns the first error of the records before it.
func (e *encoding) add(of sealer.Selected) error {
	if e.piece == nil {
		e.piece = &encoded{done: make(chan struct{})}
	}
	e.piece.selected = append(e.piece.selected, of)
	const most = 256
	if len(e.piece.selected) < most {
		return nil
	}
	e.send()
	return e.failed()
}

func (e *encoding) send() {
	e.order <- e.piece
	e.todo <- e.piece
	e.piece = nil
}

// finish waits for what was added.
func (e *encoding) finish() error {
	e.once.Do(func() {
		if e.piece != nil {
			e.send()
		}
		close(e.todo)
		close(e.order)
		e.working.Wait()
		<-e.ended
	})
	return e.failed()
}

func (p *encoded) encode() {
	p.lines = make([]lines, 0, len(p.selected))
	for i := range p.selected {
		made, err := encodeLines(&p.selected[i])
		if err != nil {
			p.err = err
			return
		}
		p.lines = append(p.lines, made)
	}
	p.selected = nil
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
