package importer

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// maxBatchBytes bounds a batch by its bytes, so that a file of huge lines takes no more
// memory than a file of small ones.
const maxBatchBytes = 2 << 20

// batch is a stretch of the input that is stored as one. It keeps the text of
// the lines, because the database may refuse some of them.
type batch struct {
	max     int
	lines   []batchLine
	text    []byte // of all lines
	bytes   int64  // of the input, up to its end
	records []audit.Record
	replays []audit.Record // follows records in the same array
	newer   int            // lines that a newer release wrote
}

type batchLine struct {
	number     int64
	start, end int   // in the batch's text
	size       int64 // of the whole line; the text may be only its beginning
	record     int   // its place in records; -1 if it is not stored
	replay     bool
	newer      bool // written by a newer release, and neither stored nor refused
	faults     []audit.Fault
}

func newBatch(lines int) *batch { return &batch{max: lines} }

func (b *batch) full() bool { return len(b.lines) >= b.max || len(b.text) >= maxBatchBytes }

func (b *batch) reset() {
	clear(b.records) // they hold the lines' texts
	clear(b.replays)
	clear(b.lines)
	b.lines, b.text, b.records, b.replays, b.newer = b.lines[:0], b.text[:0], b.records[:0], nil, 0
}

func (b *batch) add(raw jsonl.Line) {
	line := batchLine{number: raw.Number, start: len(b.text), size: raw.Size, record: -1}
	b.text = append(b.text, raw.Text...)
	line.end = len(b.text)
	b.lines = append(b.lines, line)
}

// parse parses the lines on that many cores. Each core takes a stretch of them.
func (b *batch) parse(cores int) {
	const minLines = 64 // that are worth a goroutine
	b.records = slices.Grow(b.records, len(b.lines))[:len(b.lines)]
	stretch := max(minLines, (len(b.lines)+cores-1)/cores)
	var parsers sync.WaitGroup
	for from := 0; from < len(b.lines); from += stretch {
		to := min(from+stretch, len(b.lines))
		parsers.Go(func() {
			for i := from; i < to; i++ {
				b.parseLine(i)
			}
		})
	}
	parsers.Wait()
	b.sort()
}

// parseLine puts a line's record at the line's own place. sort moves it.
func (b *batch) parseLine(i int) {
	line := &b.lines[i]
	text := b.text[line.start:line.end]
	if line.size > int64(len(text)) {
		line.faults = []audit.Fault{{Reason: fmt.Sprintf("is %d bytes long, at most %d are allowed", line.size, jsonl.MaxLine)}}
		return
	}
	var err error
	b.records[i], line.replay, err = audit.ParseRecord(text)
	switch {
	case errors.Is(err, audit.ErrNewerFormat):
		line.newer = true
	case err != nil:
		line.faults = format.FaultsOf(err)
	}
}

// sort moves the records that are stored to the front, in the order of the input, and the
// replays behind them, in any order. A copy of the replays would take as much memory again.
func (b *batch) sort() {
	stored := 0
	for i := range b.lines {
		line := &b.lines[i]
		switch {
		case line.newer:
			b.newer++
		case line.faults != nil, line.replay:
		default:
			line.record = stored
			b.records[stored], b.records[i] = b.records[i], b.records[stored]
			stored++
		}
	}
	noRecord := func(rec audit.Record) bool { return rec.AuditID == uuid.Nil }
	b.replays = slices.DeleteFunc(b.records[stored:], noRecord)
	b.records = b.records[:stored]
}
