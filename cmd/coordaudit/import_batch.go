package main

import (
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// maxBatchBytes bounds a batch besides its number of records, so that a file of
// huge lines takes no more memory than one of small ones.
const maxBatchBytes = 8 << 20

// batch is a stretch of the input that is settled as one. It keeps the lines'
// text, for those that the database refuses.
type batch struct {
	most    int
	lines   []batchLine
	text    []byte // of all lines
	records []audit.Record
	replays []audit.Record
}

type batchLine struct {
	number     int64
	start, end int   // in the batch's text
	size       int64 // of the whole line, of which the text may be the beginning
	record     int   // its place in records; -1 if it is not to be stored
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
	rec, replay, faults := parseLine(raw)
	switch {
	case faults != nil:
		line.faults = faults
	case replay:
		b.replays = append(b.replays, rec)
	default:
		line.record = len(b.records)
		b.records = append(b.records, rec)
	}
	b.lines = append(b.lines, line)
}

func parseLine(raw rawLine) (rec audit.Record, replay bool, faults []audit.Fault) {
	if raw.tooLong() {
		return audit.Record{}, false, []audit.Fault{{Reason: fmt.Sprintf("is %d bytes long, at most %d are allowed", raw.size, maxLine)}}
	}
	rec, replay, err := audit.ParseRecord(raw.text)
	if err != nil {
		return audit.Record{}, false, faultsOf(err)
	}
	return rec, replay, nil
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
