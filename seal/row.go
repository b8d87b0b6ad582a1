package seal

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// RecordRow returns the row that this library stores for a record, with its Seq and its
// CreatedAt: what is not stated is NULL. It is the inverse of [Row.Record] for a normalized
// record that audit.Record.Validate accepts. A row that others have stored may hold what a
// record cannot say, such as an empty text where this library has NULL. [Row.Equal] tells.
func RecordRow(rec audit.Record) Row {
	const columns, fixed = 26, 160 // of the leaf, and the bytes of all values that are no texts
	e := encoder{
		values: make([][]byte, 0, columns),
		memory: make([]byte, 0, fixed+len(rec.EnvelopeID)+len(rec.EnvelopeClass)+len(rec.Decision)+len(rec.Reason)+
			len(rec.ConflictingEnvelopeID)+len(rec.PreemptingEnvelopeID)+len(rec.TenantID)+len(rec.TargetSubsystem)+
			len(rec.TargetParameter)+len(rec.CounterpartClass)+len(rec.ReasonCode)+len(rec.PolicyVersion)+len(rec.Actor)+
			len(rec.Links.CorrelationID)+len(rec.Details)),
	}
	e.integer(rec.Seq)
	e.bytes(rec.AuditID[:])
	e.text(rec.EnvelopeID)
	e.text(string(rec.EnvelopeClass))
	e.text(string(rec.Decision))
	e.text(rec.Reason)
	e.integer(microsOf(rec.DecisionTimestamp))
	e.integer(microsOf(rec.CreatedAt))
	e.optional(rec.ConflictingEnvelopeID)
	e.optional(rec.PreemptingEnvelopeID)
	e.memory = binary.BigEndian.AppendUint32(e.memory, uint32(rec.ActiveEnvelopesCount))
	e.end(4)
	for _, text := range [...]string{
		rec.TenantID, rec.TargetSubsystem, rec.TargetParameter, string(rec.CounterpartClass), rec.ReasonCode, rec.PolicyVersion, rec.Actor,
	} {
		e.optional(text)
	}
	e.id(rec.Links.CausedBy)
	e.id(rec.Links.Corrects)
	e.optional(rec.Links.CorrelationID)
	e.stated(rec.Origin.TraceID[:], rec.Origin.TraceID != audit.TraceID{})
	e.stated(rec.Origin.SpanID[:], rec.Origin.SpanID != audit.SpanID{})
	e.details(rec.Details)
	e.id(rec.Origin.SourceID)
	if rec.Origin.SourceSeq == 0 {
		e.null()
	} else {
		e.integer(rec.Origin.SourceSeq)
	}
	return Row{Kind: Record, Version: LeafVersion, Values: e.values}
}

// Equal reports whether two rows have the same values and digests. NULL and the empty text
// differ.
func (r Row) Equal(other Row) bool {
	same := func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
	return r.Kind == other.Kind && r.Version == other.Version && slices.EqualFunc(r.Values, other.Values, same) &&
		(r.Digests == nil) == (other.Digests == nil) && slices.EqualFunc(r.Digests, other.Digests, same)
}

// encoder writes values in the order of their columns into one piece of memory.
type encoder struct {
	values [][]byte
	memory []byte
}

// end makes the last bytes of the memory a value.
func (e *encoder) end(size int) {
	n := len(e.memory)
	e.values = append(e.values, e.memory[n-size:n:n])
}

func (e *encoder) null() { e.values = append(e.values, nil) }

func (e *encoder) bytes(value []byte) {
	e.memory = append(e.memory, value...)
	e.end(len(value))
}

func (e *encoder) stated(value []byte, stated bool) {
	if !stated {
		e.null()
		return
	}
	e.bytes(value)
}

func (e *encoder) id(id [16]byte) { e.stated(id[:], id != [16]byte{}) }

func (e *encoder) text(text string) {
	e.memory = append(e.memory, text...)
	e.end(len(text))
}

func (e *encoder) optional(text string) {
	if text == "" {
		e.null()
		return
	}
	e.text(text)
}

func (e *encoder) integer(n int64) {
	e.memory = binary.BigEndian.AppendUint64(e.memory, uint64(n))
	e.end(8)
}

func (e *encoder) details(details audit.Details) {
	if details == "" {
		e.null()
		return
	}
	e.memory = append(append(e.memory, jsonbVersion), details...)
	e.end(1 + len(details))
}

// pgEpoch is 2000-01-01 in seconds since 1970.
const pgEpoch = 946_684_800

// microsOf is a time as PostgreSQL holds it, in microseconds since 2000-01-01.
func microsOf(at time.Time) int64 {
	switch {
	case !at.After(audit.InfinitePast()):
		return math.MinInt64
	case !at.Before(audit.InfiniteFuture()):
		return math.MaxInt64
	}
	const second = 1_000_000
	return (at.Unix()-pgEpoch)*second + int64(at.Nanosecond()/1000)
}

// timeOf is the inverse of microsOf. It is not ok for what PostgreSQL holds as no time.
func timeOf(micros int64) (at time.Time, ok bool) {
	switch micros {
	case math.MaxInt64:
		return audit.InfiniteFuture(), true
	case math.MinInt64:
		return audit.InfinitePast(), true
	}
	const second = 1_000_000
	at = time.Unix(micros/second+pgEpoch, micros%second*1000).UTC()
	return at, !audit.IsInfinite(at)
}
