package audit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The bounds of a record's texts.
const (
	// MaxIDCharacters bounds all texts but the reason and the details. It counts
	// characters, not bytes: the columns are varchar(100).
	MaxIDCharacters = 100

	// MaxReasonBytes bounds the reason, in bytes.
	MaxReasonBytes = 64 << 10
)

// Validate reports every fault of the record in one [InvalidRecordError], or returns
// nil. It does not ask the database, which refuses the same records.
func (r Record) Validate() error {
	var faults faultList
	faults.requiredID(fieldEnvelopeID, r.EnvelopeID)
	if !r.EnvelopeClass.valid() {
		faults.add(fieldEnvelopeClass, classReason)
	}
	if !r.Decision.valid() {
		faults.add(fieldDecision, decisionReason)
	}
	faults.reason(r.Reason)
	faults.decisionTimestamp(r.DecisionTimestamp)
	faults.optionalID(fieldConflictingEnvelopeID, r.ConflictingEnvelopeID)
	faults.optionalID(fieldPreemptingEnvelopeID, r.PreemptingEnvelopeID)
	faults.references(r)
	if r.ActiveEnvelopesCount < 0 {
		faults.add(fieldActiveEnvelopesCount, "must not be negative")
	}
	faults.optionalID(fieldTenantID, r.TenantID)
	faults.optionalID(fieldTargetSubsystem, r.TargetSubsystem)
	faults.optionalID(fieldTargetParameter, r.TargetParameter)
	faults.counterpartClass(r)
	faults.optionalID(fieldReasonCode, r.ReasonCode)
	faults.optionalID(fieldPolicyVersion, r.PolicyVersion)
	faults.optionalID(fieldActor, r.Actor)
	faults.links(r)
	faults.trace(r.Origin)
	faults.details(r.Details)
	faults.source(r.Origin)
	return faults.err()
}

type faultList []Fault

func (l *faultList) add(field, reason string) {
	*l = append(*l, Fault{Field: field, Reason: reason})
}

func (l *faultList) err() error {
	if len(*l) == 0 {
		return nil
	}
	return &InvalidRecordError{Faults: *l}
}

func (l *faultList) requiredID(field, id string) {
	if id == "" {
		l.add(field, "must not be empty")
		return
	}
	l.optionalID(field, id)
}

func (l *faultList) optionalID(field, id string) {
	if !l.storable(field, id) {
		return
	}
	// A text has no more characters than bytes, so most ids need no count.
	if len(id) > MaxIDCharacters {
		if n := utf8.RuneCountInString(id); n > MaxIDCharacters {
			l.add(field, fmt.Sprintf("is %d characters long, at most %d are allowed", n, MaxIDCharacters))
		}
	}
}

func (l *faultList) reason(reason string) {
	switch {
	case !l.storable(fieldReason, reason):
	case strings.TrimSpace(reason) == "":
		l.add(fieldReason, "must not be blank")
	case len(reason) > MaxReasonBytes:
		l.add(fieldReason, fmt.Sprintf("is %d bytes long, at most %d are allowed", len(reason), MaxReasonBytes))
	}
}

// storable reports whether PostgreSQL can hold the text at all.
func (l *faultList) storable(field, text string) bool {
	if !utf8.ValidString(text) {
		l.add(field, "is not valid UTF-8")
		return false
	}
	if strings.IndexByte(text, 0) >= 0 {
		l.add(field, "contains a NUL character, which PostgreSQL cannot store")
		return false
	}
	return true
}

func (l *faultList) decisionTimestamp(at time.Time) {
	if at.IsZero() {
		l.add(fieldDecisionTimestamp, "is required")
		return
	}
	l.year(fieldDecisionTimestamp, at)
}

const yearReason = "must lie in the years 1 to 9999 (UTC)"

// year refuses the years that RFC 3339 cannot write. pgx would send some of them as
// another instant.
func (l *faultList) year(field string, at time.Time) {
	if year := at.UTC().Year(); year < 1 || year > 9999 {
		l.add(field, yearReason)
	}
}

// references checks the ids of other envelopes against the decision.
func (l *faultList) references(r Record) {
	if r.Decision == Applied && r.ConflictingEnvelopeID != "" {
		l.add(fieldConflictingEnvelopeID, "must be empty when the decision is APPLIED")
	}
	if r.Decision == Preempted && r.PreemptingEnvelopeID == "" {
		l.add(fieldPreemptingEnvelopeID, "is required when the decision is PREEMPTED")
	}
	if r.Decision != Preempted && r.Decision.valid() && r.PreemptingEnvelopeID != "" {
		l.add(fieldPreemptingEnvelopeID, "must be empty unless the decision is PREEMPTED")
	}
}

func (l *faultList) counterpartClass(r Record) {
	switch {
	case !r.CounterpartClass.valid():
		l.add(fieldCounterpartClass, classReason)
	case r.CounterpartClass != "" && r.ConflictingEnvelopeID == "" && r.PreemptingEnvelopeID == "":
		l.add(fieldCounterpartClass, "must be empty if neither conflicting_envelope_id nor preempting_envelope_id is set")
	}
}

// links checks an id against the record's own, if that is known yet.
func (l *faultList) links(r Record) {
	const itself = "must not be the audit_id of the record itself"
	if r.AuditID != uuid.Nil && r.Links.CausedBy == r.AuditID {
		l.add(fieldCausedBy, itself)
	}
	if r.AuditID != uuid.Nil && r.Links.Corrects == r.AuditID {
		l.add(fieldCorrects, itself)
	}
	l.optionalID(fieldCorrelationID, r.Links.CorrelationID)
}

func (l *faultList) trace(origin Origin) {
	if origin.SpanID != (SpanID{}) && origin.TraceID == (TraceID{}) {
		l.add(fieldSpanID, "must be empty if trace_id is not set")
	}
}

// A statement gives ordinals as ranges that end below a bigint, so the highest bigint is none.
const (
	maxSourceSeq    = math.MaxInt64 - 1
	sourceSeqReason = "must be between 1 and 9223372036854775806"
)

func (l *faultList) source(origin Origin) {
	if origin.SourceID == uuid.Nil && origin.SourceSeq != 0 {
		l.add(fieldSourceID, "is required if source_seq is set")
	}
	switch {
	case origin.SourceID != uuid.Nil && origin.SourceSeq == 0:
		l.add(fieldSourceSeq, "is required if source_id is set")
	case origin.SourceSeq < 0 || origin.SourceSeq > maxSourceSeq:
		l.add(fieldSourceSeq, sourceSeqReason)
	}
}

// InfinitePast and InfiniteFuture stand for PostgreSQL's '-infinity' and 'infinity',
// which a [time.Time] cannot hold. They are the microsecond before the earliest and the
// one after the latest finite time that PostgreSQL can store. So every finite time lies
// between them, and none can be mistaken for them.
//
// No record that this package validates has such a time. A row that was adopted or
// inserted by hand may have one, and reading returns it.
func InfinitePast() time.Time {
	return time.Date(-4713, time.November, 23, 23, 59, 59, 999_999_000, time.UTC)
}

// InfiniteFuture stands for 'infinity'. See [InfinitePast].
func InfiniteFuture() time.Time { return time.Date(294277, time.January, 1, 0, 0, 0, 0, time.UTC) }

// IsInfinite reports whether a time that was read stands for one of PostgreSQL's
// infinities.
func IsInfinite(at time.Time) bool {
	return !at.After(InfinitePast()) || !at.Before(InfiniteFuture())
}

// FormatTime writes a time as the JSON form of a record does. It is RFC 3339 in UTC and
// always has microseconds, so equal times are equal texts. Infinite times are
// "-infinity" and "infinity", as PostgreSQL writes them. A year after 9999 has as many
// digits as it needs, and a year before 0 has a sign.
func FormatTime(at time.Time) string {
	switch {
	case !at.After(InfinitePast()):
		return "-infinity"
	case !at.Before(InfiniteFuture()):
		return "infinity"
	default:
		return at.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	}
}

// Printable returns a text that is safe in a log line or on a terminal. It escapes the
// characters that do not print as a Go string literal does. So no value can begin a new
// line, move the cursor or change the reading direction. The result is for people: it
// does not distinguish a backslash from an escape.
//
// The errors of this module show values in this form, or quoted.
func Printable(text string) string {
	if isPrintable(text) {
		return text
	}
	var out strings.Builder
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				out.WriteString(`\x` + strconv.FormatUint(uint64(text[i]), 16))
				continue
			}
		}
		if shows(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

func isPrintable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !shows(r) {
			return false
		}
	}
	return true
}

// shows leaves out what changes nothing that a reader sees, such as a variation selector. Two
// names that differ in one would look alike.
func shows(r rune) bool {
	return strconv.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
