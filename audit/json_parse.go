package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ParseRecord reads one JSON object with the argument names of persist_audit_record. It
// reports all faults in one [InvalidRecordError], each with its key, including those of
// [Record.Validate]:
//
//   - audit_id, envelope_id, envelope_class, decision, reason and decision_timestamp
//     are required. A null class means that none was declared.
//   - active_envelopes_count may be absent and is then 0.
//   - All other keys may be null or absent, except format, which may be absent.
//   - Class and decision may be in any case.
//   - decision_timestamp is RFC 3339 and must have an offset.
//   - caused_by, corrects and source_id are UUIDs in their 36-character form.
//   - trace_id and span_id have 32 and 16 lower-case hexadecimal digits.
//   - details is an object as [Details] describes it.
//   - Unknown and duplicate keys are refused, and so is text that encoding/json would
//     silently replace (broken UTF-8, lone surrogates).
//
// replay is true if the object says "emit_traces": false.
//
// format is the version of the object's form, 1 or 2. It need not be stated, and both may
// have all keys. If it is greater, the error matches [ErrNewerFormat] instead of
// [ErrInvalidRecord], regardless of what else the object holds: a later version of this module
// wrote it, and only that version can say what is wrong with it.
func ParseRecord(data []byte) (rec Record, replay bool, err error) {
	var p recordParser
	if !p.scan(data) {
		p = recordParser{}
		if err := p.object(data); err != nil {
			return Record{}, false, err
		}
	}
	if p.format > newestFormat {
		return Record{}, false, fmt.Errorf("%w: it has format %d, and this version reads formats up to %d", ErrNewerFormat, p.format, newestFormat)
	}
	for _, required := range [...]string{fieldAuditID, fieldEnvelopeID, fieldEnvelopeClass, fieldDecision, fieldReason, fieldDecisionTimestamp} {
		if key, bit := knownKey([]byte(required)); p.seen&bit == 0 {
			p.faults.add(key, "is required")
		}
	}
	p.addFaultsOfRecord()
	if err := p.faults.err(); err != nil {
		return Record{}, false, err
	}
	return p.record.Normalized(), p.replay, nil
}

type recordParser struct {
	record  Record
	replay  bool
	format  int64           // 0 if it is not stated
	seen    uint32          // bits of the known keys
	unknown map[string]bool // the other keys
	faults  faultList
}

// object reads the keys one by one. With encoding/json into a struct, the last of two
// equal keys would win, and keys would match in any case.
func (p *recordParser) object(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil {
		return brokenJSON(err)
	} else if token != json.Delim('{') {
		return invalidField("", "must be a JSON object")
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return brokenJSON(err)
		}
		key, _ := token.(string) // More was true inside an object, so this is a key.
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return brokenJSON(err)
		}
		_, bit := knownKey([]byte(key))
		p.member(key, bit, value)
	}
	if _, err := decoder.Token(); err != nil {
		return brokenJSON(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalidField("", "has text after the JSON object")
	}
	return nil
}

func brokenJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalidField("", "is not valid JSON: it ends too early")
	}
	// A syntax error quotes one character at most.
	return invalidField("", "is not valid JSON: "+err.Error())
}

// first reports whether this is the first occurrence of a key. An unknown key has bit 0.
func (p *recordParser) first(key string, bit uint32) bool {
	if bit != 0 {
		before := p.seen
		p.seen |= bit
		return p.seen != before
	}
	if p.unknown[key] {
		return false
	}
	if p.unknown == nil {
		p.unknown = make(map[string]bool)
	}
	p.unknown[key] = true
	return true
}

func (p *recordParser) member(key string, bit uint32, value json.RawMessage) {
	if !p.first(key, bit) {
		p.faults.add(nameOf(key), "comes twice")
		return
	}
	switch key {
	case fieldAuditID:
		parsed(p, key, value, &p.record.AuditID, ParseAuditID)
	case fieldEnvelopeID:
		p.text(key, value, &p.record.EnvelopeID)
	case fieldEnvelopeClass:
		optional(p, key, value, &p.record.EnvelopeClass, ParseEnvelopeClass)
	case fieldDecision:
		parsed(p, key, value, &p.record.Decision, ParseDecision)
	case fieldReason:
		p.text(key, value, &p.record.Reason)
	case fieldDecisionTimestamp:
		var text string
		if p.text(key, value, &text) {
			at, reason := parseTime(text)
			if reason != "" {
				p.faults.add(key, reason)
			}
			p.record.DecisionTimestamp = at
		}
	case fieldConflictingEnvelopeID:
		p.optionalText(key, value, &p.record.ConflictingEnvelopeID)
	case fieldPreemptingEnvelopeID:
		p.optionalText(key, value, &p.record.PreemptingEnvelopeID)
	case fieldActiveEnvelopesCount:
		p.count(key, value)
	case fieldTenantID:
		p.optionalText(key, value, &p.record.TenantID)
	case fieldTargetSubsystem:
		p.optionalText(key, value, &p.record.TargetSubsystem)
	case fieldTargetParameter:
		p.optionalText(key, value, &p.record.TargetParameter)
	case fieldCounterpartClass:
		optional(p, key, value, &p.record.CounterpartClass, ParseEnvelopeClass)
	case fieldEmitTraces:
		p.emitTraces(key, value)
	default:
		p.contextMember(key, value)
	}
}

func (p *recordParser) contextMember(key string, value json.RawMessage) {
	switch key {
	case fieldReasonCode:
		p.optionalText(key, value, &p.record.ReasonCode)
	case fieldPolicyVersion:
		p.optionalText(key, value, &p.record.PolicyVersion)
	case fieldActor:
		p.optionalText(key, value, &p.record.Actor)
	case fieldCausedBy:
		optional(p, key, value, &p.record.Links.CausedBy, ParseAuditID)
	case fieldCorrects:
		optional(p, key, value, &p.record.Links.Corrects, ParseAuditID)
	case fieldCorrelationID:
		p.optionalText(key, value, &p.record.Links.CorrelationID)
	case fieldTraceID:
		optional(p, key, value, &p.record.Origin.TraceID, ParseTraceID)
	case fieldSpanID:
		optional(p, key, value, &p.record.Origin.SpanID, ParseSpanID)
	case fieldDetails:
		p.details(key, value)
	case fieldSourceID:
		optional(p, key, value, &p.record.Origin.SourceID, ParseAuditID)
	case fieldSourceSeq:
		p.sourceSeq(key, value)
	case fieldFormat:
		p.version(key, value)
	default:
		p.faults.add(nameOf(key), "is not a known key")
	}
}

// addFaultsOfRecord adds what Validate finds, except in fields whose value could not be
// read. Those are empty now, and their fault is already known.
func (p *recordParser) addFaultsOfRecord() {
	invalid, ok := errors.AsType[*InvalidRecordError](p.record.Validate())
	if !ok {
		return
	}
	known := make([]string, 0, len(p.faults))
	for _, fault := range p.faults {
		known = append(known, fault.Field)
	}
	for _, fault := range invalid.Faults {
		if !slices.Contains(known, fault.Field) {
			p.faults = append(p.faults, fault)
		}
	}
}
