package audit

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Links name other records. They may name a record that is not stored, or not yet, and
// never the record itself.
type Links struct {
	// CausedBy is the audit id of the record that caused this decision. The zero value
	// means none.
	CausedBy uuid.UUID

	// Corrects is the audit id of the record that this one corrects. The zero value means
	// none.
	Corrects uuid.UUID

	// CorrelationID is one id for all records of one action, in at most 100 characters. ""
	// means none.
	CorrelationID string
}

// Origin is where a record came from, and not what it says.
type Origin struct {
	// TraceID and SpanID are those of W3C Trace Context. The zero value means none. A span
	// needs a trace.
	TraceID TraceID
	SpanID  SpanID

	// SourceID is the source that accepted the record: one run of a Recorder, or one
	// import. SourceSeq is the ordinal that the source gave it, from 1 to 2⁶³-2. Both are set or
	// neither. A Recorder sets them on each record that it accepts.
	SourceID  uuid.UUID
	SourceSeq int64
}

// TraceID is the trace-id of W3C Trace Context. The zero value means none.
type TraceID [16]byte

// SpanID is the parent-id of W3C Trace Context. The zero value means none.
type SpanID [8]byte

// ParseTraceID reads 32 lower-case hexadecimal digits, which must not all be zero. It
// refuses any other text with an [InvalidRecordError].
func ParseTraceID(text string) (TraceID, error) {
	var id TraceID
	if reason := decodeHex(id[:], text); reason != "" {
		return TraceID{}, invalidField(fieldTraceID, reason)
	}
	return id, nil
}

// ParseSpanID reads 16 lower-case hexadecimal digits, which must not all be zero. It
// refuses any other text with an [InvalidRecordError].
func ParseSpanID(text string) (SpanID, error) {
	var id SpanID
	if reason := decodeHex(id[:], text); reason != "" {
		return SpanID{}, invalidField(fieldSpanID, reason)
	}
	return id, nil
}

// decodeHex is strict, so that an id has one spelling.
func decodeHex(id []byte, text string) (reason string) {
	decoded, err := hex.DecodeString(text)
	switch {
	case err != nil || len(decoded) != len(id) || text != strings.ToLower(text):
		return fmt.Sprintf("must be %d lower-case hexadecimal digits", 2*len(id))
	case strings.Trim(text, "0") == "":
		return "must not be all zeros"
	}
	copy(id, decoded)
	return ""
}

// String returns 32 lower-case hexadecimal digits, or "" for none.
func (id TraceID) String() string {
	if id == (TraceID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// String returns 16 lower-case hexadecimal digits, or "" for none.
func (id SpanID) String() string {
	if id == (SpanID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// MarshalText implements [encoding.TextMarshaler] with [TraceID.String].
func (id TraceID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalText implements [encoding.TextMarshaler] with [SpanID.String].
func (id SpanID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseTraceID]. An empty text
// means none, as [TraceID.MarshalText] writes it.
func (id *TraceID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = TraceID{}
		return nil
	}
	parsed, err := ParseTraceID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseSpanID]. An empty text
// means none, as [SpanID.MarshalText] writes it.
func (id *SpanID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = SpanID{}
		return nil
	}
	parsed, err := ParseSpanID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}
