package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// batchesAtOnce is the number of batches: while one is loaded, the next is read and
// parsed, which takes a tenth of the time. A third batch would only wait.
const batchesAtOnce = 2

// importPipeline reads and parses the batches that follow the one being loaded.
type importPipeline struct {
	parsed chan *batch // in the order of the input; closed at its end
	err    error       // why reading ended, nil at the input's end; set before parsed is closed

	// stopped ends the reading, as the end of its context does. A derived context would
	// not do: the input is interrupted by the context itself, and a derived one may end a
	// moment later.
	stopped atomic.Bool

	lines *jsonl.Reader
	free  chan *batch
	read  chan *batch
}

// begin starts the reading. It ends with the input, with ctx, or when it is stopped. The
// caller must take and recycle batches until parsed is closed.
func (f *fileImport) begin(ctx context.Context) *importPipeline {
	p := &importPipeline{
		parsed: make(chan *batch),
		lines:  f.lines,
		free:   make(chan *batch, batchesAtOnce),
		read:   make(chan *batch),
	}
	for range batchesAtOnce {
		p.free <- newBatch(f.all.config.Batch)
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
	p.free <- b // there is room for every batch
}

func (p *importPipeline) ended(ctx context.Context) bool { return ctx.Err() != nil || p.stopped.Load() }

// readLines fills batches. If it is ended, or the input cannot be read, the last batch
// holds what was read so far.
func (p *importPipeline) readLines(ctx context.Context) error {
	b := <-p.free
	defer func() {
		if len(b.lines) > 0 {
			p.read <- b
		}
	}()
	for !p.ended(ctx) {
		line, err := p.lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if _, ok := errors.AsType[*ForeignError](err); ok {
			return fmt.Errorf("after line %d: %w", p.lines.Number, err)
		}
		if err != nil && !p.ended(ctx) {
			return fmt.Errorf("reading line %d: %w", p.lines.Number+1, err)
		}
		if err != nil {
			break
		}
		b.add(line)
		if b.bytes = p.lines.Bytes; b.full() {
			p.read <- b
			b = <-p.free
		}
	}
	return fmt.Errorf("%w after line %d", ErrInterrupted, p.lines.Number)
}
