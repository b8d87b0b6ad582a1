package audit

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds of a record's texts.
const (
	// MaxIDCharacters bounds envelope and tenant ids and the target's names, in
	// characters (not bytes): the columns are varchar(100).
	MaxIDCharacters = 100

	// MaxReasonBytes bounds the reason, in bytes.
	MaxReasonBytes = 64 << 10
)

// Validate reports every fault of the record in one [InvalidRecordError], or
// nil. It asks nothing of the database, which refuses the same records.
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
	// Bytes bound characters from above, so most ids need no count.
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

// year refuses years in which RFC 3339 cannot write a time down, and some of which
// pgx would send as another instant.
func (l *faultList) year(field string, at time.Time) {
	if year := at.UTC().Year(); year < 1 || year > 9999 {
		l.add(field, "must lie in the years 1 to 9999 (UTC)")
	}
}

// references holds the ids of other envelopes against the decision.
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
		l.add(fieldCounterpartClass, "must be empty where no conflicting or preempting envelope is named")
	}
}
