package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
)

// maxBatchBytes bounds a batch besides its number of records, so that a file of
// huge lines takes no more memory than one of small ones.
const maxBatchBytes = 2 << 20

// batch is a stretch of the input that is settled as one. It keeps the lines'
// text, for those that the database refuses.
type batch struct {
	most    int
	lines   []batchLine
	text    []byte // of all lines
	bytes   int64  // of the input, up to its end
	records []audit.Record
	replays []audit.Record
}

type batchLine struct {
	number     int64
	start, end int   // in the batch's text
	size       int64 // of the whole line, of which the text may be the beginning
	record     int   // its place in records; -1 if it is not to be stored
	replay     bool
	faults     []audit.Fault
}

func newBatch(most int) *batch { return &batch{most: most} }

func (b *batch) full() bool { return len(b.lines) >= b.most || len(b.text) >= maxBatchBytes }

func (b *batch) reset() {
	clear(b.records) // they hold the lines' texts
	clear(b.replays)
	clear(b.lines)
	b.lines, b.text, b.records, b.replays = b.lines[:0], b.text[:0], b.records[:0], b.replays[:0]
}

func (b *batch) add(raw rawLine) {
	line := batchLine{number: raw.number, start: len(b.text), size: raw.size, record: -1}
	b.text = append(b.text, raw.text...)
	line.end = len(b.text)
	b.lines = append(b.lines, line)
}

// parse parses the lines on so many cores, each of which takes a stretch of them.
func (b *batch) parse(cores int) {
	const fewest = 64 // lines that are worth a goroutine
	b.records = slices.Grow(b.records, len(b.lines))[:len(b.lines)]
	stretch := max(fewest, (len(b.lines)+cores-1)/cores)
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

// parseLine leaves a line's record at the line's own place, for sort to move.
func (b *batch) parseLine(i int) {
	line := &b.lines[i]
	text := b.text[line.start:line.end]
	if line.size > int64(len(text)) {
		line.faults = []audit.Fault{{Reason: fmt.Sprintf("is %d bytes long, at most %d are allowed", line.size, maxLine)}}
		return
	}
	var err error
	if b.records[i], line.replay, err = audit.ParseRecord(text); err != nil {
		line.faults = faultsOf(err)
	}
}

// sort moves the records to be stored together, in the input's order, and the
// replays out of their way.
func (b *batch) sort() {
	stored := 0
	for i := range b.lines {
		line := &b.lines[i]
		switch {
		case line.faults != nil:
		case line.replay:
			b.replays = append(b.replays, b.records[i])
		default:
			line.record = stored
			b.records[stored] = b.records[i]
			stored++
		}
	}
	clear(b.records[stored:])
	b.records = b.records[:stored]
}

// faultsOf gives every refusal of a record the same form.
func faultsOf(err error) []audit.Fault {
	if invalid, ok := errors.AsType[*audit.InvalidRecordError](err); ok {
		return invalid.Faults
	}
	if conflict, ok := errors.AsType[*audit.ConflictError](err); ok {
		return []audit.Fault{{Field: "audit_id", Reason: describeConflict(conflict)}}
	}
	return []audit.Fault{{Reason: err.Error()}}
}
