package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// batchesAtOnce is how many there are: while one is loaded the next is read and
// parsed, which takes a tenth of the time. A third one would only wait.
const batchesAtOnce = 2

// importPipeline reads and parses batches ahead of the one that is loaded.
type importPipeline struct {
	parsed chan *batch // in the input's order; closed at its end
	err    error       // why reading ended, nil at the input's end; set before parsed is closed

	lines *lineReader
	free  chan *batch
	read  chan *batch
}

// begin starts the reading. It ends with the input or with ctx, and is waited for
// by taking batches until parsed is closed; each must be recycled.
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

// readLines fills batches. When ctx ends, or the input cannot be read, the last one
// holds what has been read until then.
func (p *importPipeline) readLines(ctx context.Context) error {
	b := <-p.free
	defer func() {
		if len(b.lines) > 0 {
			p.read <- b
		}
	}()
	for ctx.Err() == nil {
		line, err := p.lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && ctx.Err() == nil {
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
