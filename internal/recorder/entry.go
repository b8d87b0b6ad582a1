package recorder

import (
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A queued record counts twice its size, because the garbage collector lets the heap grow to
// twice the live memory. So the bound limits the memory of the process.
const (
	entryOverhead  = 960 // twice an entry, its size class included
	bytesOfOneByte = 2
)

// entry is one accepted record until it leaves the queue.
type entry struct {
	rec      audit.Record
	size     int64
	ticket   int64 // rises in the order of acceptance
	accepted time.Time

	// inDoubt: an attempt to store it ended without an answer, so a row may carry its ordinal.
	inDoubt bool

	// Both are nil unless a caller waits. The channel takes one answer without blocking. Only
	// the context's values are used.
	answer chan answer
	caller context.Context //nolint:containedctx // observers get the context of the record's caller
}

// answer is what the waiting caller of a record gets.
type answer struct {
	result audit.Result
	err    error
}

func newEntry(rec *audit.Record) *entry {
	texts := len(rec.EnvelopeID) + len(rec.Reason) + len(rec.ConflictingEnvelopeID) + len(rec.PreemptingEnvelopeID) +
		len(rec.TenantID) + len(rec.TargetSubsystem) + len(rec.TargetParameter) + len(rec.ReasonCode) + len(rec.PolicyVersion) +
		len(rec.Actor) + len(rec.Links.CorrelationID) + len(rec.Details)
	return &entry{rec: *rec, size: entryOverhead + bytesOfOneByte*int64(texts)}
}

func (e *entry) report(ctx context.Context, result audit.Result, err error) report {
	return report{ctx: e.context(ctx), rec: &e.rec, result: result, err: err, waited: time.Since(e.accepted)}
}

// context returns the caller's context if a caller waits, else the machine's own.
func (e *entry) context(own context.Context) context.Context {
	if e.caller != nil {
		return e.caller
	}
	return own
}

func (e *entry) reply(a answer) {
	if e.answer != nil {
		e.answer <- a
	}
}

// owner is who has taken entries and has not finished them.
type owner int

const (
	byFlusher owner = iota
	bySpiller
	owners
)
