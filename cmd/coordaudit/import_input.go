package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
)

// batchesAtOnce is how many there are: while one is loaded the next is read and
// parsed, which takes a tenth of the time. A third one would only wait.
const batchesAtOnce = 2

// importPipeline reads and parses batches ahead of the one that is loaded.
type importPipeline struct {
	parsed chan *batch // in the input's order; closed at its end
	err    error       // why reading ended, nil at the input's end; set before parsed is closed

	// stopped ends the reading as the end of its context does. It is no context
	// derived from that: the input is interrupted by the context itself, which may be
	// ahead of those derived from it.
	stopped atomic.Bool

	lines *lineReader
	free  chan *batch
	read  chan *batch
}

// begin starts the reading. It ends with the input, with ctx, or when it is stopped,
// and is waited for by taking batches until parsed is closed; each must be recycled.
func (im *importer) begin(ctx context.Context) *importPipeline {
	p := &importPipeline{
		parsed: make(chan *batch),
		lines:  im.lines,
		free:   make(chan *batch, batchesAtOnce),
		read:   make(chan *batch),
	}
	for range batchesAtOnce {
		p.free <- newBatch(im.most)
	}
	go func() {
		defer close(p.read)
		p.err = p.readLines(ctx)
	}()
	go func() {
		defer close(p.parsed)
		for b := range p.read {
			b.parse(runtime.GOMAXPROCS(0))
			p.parsed <- b
		}
	}()
	return p
}

func (p *importPipeline) recycle(b *batch) {
	b.reset()
	p.free <- b // there is room for all
}

func (p *importPipeline) ended(ctx context.Context) bool { return ctx.Err() != nil || p.stopped.Load() }

// readLines fills batches. When it is ended, or the input cannot be read, the last one
// holds what has been read until then.
func (p *importPipeline) readLines(ctx context.Context) error {
	b := <-p.free
	defer func() {
		if len(b.lines) > 0 {
			p.read <- b
		}
	}()
	for !p.ended(ctx) {
		line, err := p.lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !p.ended(ctx) {
			return fmt.Errorf("reading line %d: %w", p.lines.number+1, err)
		}
		if err != nil {
			break
		}
		b.add(line)
		if b.bytes = p.lines.bytes; b.full() {
			p.read <- b
			b = <-p.free
		}
	}
	return fmt.Errorf("%w after line %d", errInterrupted, p.lines.number)
}
