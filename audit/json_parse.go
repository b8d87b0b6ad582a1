package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ParseRecord reads one JSON object with the argument names of
// persist_audit_record. All faults, those of [Record.Validate] included, come
// back in one [InvalidRecordError], each with its key:
//
//   - audit_id, envelope_id, envelope_class, decision, reason and
//     decision_timestamp are required; a null class means that none was declared;
//   - conflicting_envelope_id, preempting_envelope_id and tenant_id may be null
//     or absent, and so may target_subsystem, target_parameter and
//     counterpart_class; active_envelopes_count may be absent and is then 0;
//   - class and decision may be in any case;
//   - decision_timestamp is RFC 3339 and must have an offset;
//   - keys that are unknown or come twice are refused, and so is text that
//     encoding/json would silently replace (broken UTF-8, lone surrogates).
//
// replay is true if the object says "emit_traces": false.
func ParseRecord(data []byte) (rec Record, replay bool, err error) {
	var p recordParser
	if !p.scan(data) {
		p = recordParser{}
		if err := p.object(data); err != nil {
			return Record{}, false, err
		}
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
	seen    uint16          // bits of the known keys
	unknown map[string]bool // the other keys
	faults  faultList
}

// knownKey returns a key of ours and its bit; no bit if it is none.
func knownKey(name []byte) (key string, bit uint16) {
	switch string(name) {
	case fieldAuditID:
		return fieldAuditID, 1 << 0
	case fieldEnvelopeID:
		return fieldEnvelopeID, 1 << 1
	case fieldEnvelopeClass:
		return fieldEnvelopeClass, 1 << 2
	case fieldDecision:
		return fieldDecision, 1 << 3
	case fieldReason:
		return fieldReason, 1 << 4
	case fieldDecisionTimestamp:
		return fieldDecisionTimestamp, 1 << 5
	case fieldConflictingEnvelopeID:
		return fieldConflictingEnvelopeID, 1 << 6
	case fieldPreemptingEnvelopeID:
		return fieldPreemptingEnvelopeID, 1 << 7
	case fieldActiveEnvelopesCount:
		return fieldActiveEnvelopesCount, 1 << 8
	case fieldTenantID:
		return fieldTenantID, 1 << 9
	case fieldTargetSubsystem:
		return fieldTargetSubsystem, 1 << 10
	case fieldTargetParameter:
		return fieldTargetParameter, 1 << 11
	case fieldCounterpartClass:
		return fieldCounterpartClass, 1 << 12
	case fieldEmitTraces:
		return fieldEmitTraces, 1 << 13
	default:
		return "", 0
	}
}

// object reads the keys one by one: encoding/json into a struct would let the
// last of two equal keys win, and match keys in any case.
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

// first reports whether the key has not come before. Its bit is 0 if it is unknown.
func (p *recordParser) first(key string, bit uint16) bool {
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

func (p *recordParser) member(key string, bit uint16, value json.RawMessage) {
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
		p.class(key, value, &p.record.EnvelopeClass)
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
		p.class(key, value, &p.record.CounterpartClass)
	case fieldEmitTraces:
		p.emitTraces(key, value)
	default:
		p.faults.add(nameOf(key), "is not a known key")
	}
}

// nameOf shows a key that is not ours: it may hold anything, so it is quoted and cut.
func nameOf(key string) string {
	const most = 64
	if runes := []rune(key); len(runes) > most {
		key = string(runes[:most]) + "…"
	}
	return strconv.Quote(key)
}

// parsed reads a text and turns it into a value, whose parser knows what may be
// wrong with it, but not under which key it stands.
func parsed[T any](p *recordParser, key string, value json.RawMessage, into *T, parse func(string) (T, error)) {
	var text string
	if !p.text(key, value, &text) {
		return
	}
	result, err := parse(text)
	if err != nil {
		if invalid, ok := errors.AsType[*InvalidRecordError](err); ok {
			for _, fault := range invalid.Faults {
				p.faults.add(key, fault.Reason)
			}
		}
		return
	}
	*into = result
}

func (p *recordParser) class(key string, value json.RawMessage, into *EnvelopeClass) {
	if !isNull(value) {
		parsed(p, key, value, into, ParseEnvelopeClass)
	}
}

func (p *recordParser) optionalText(key string, value json.RawMessage, into *string) {
	if !isNull(value) {
		p.text(key, value, into)
	}
}

func (p *recordParser) text(key string, value json.RawMessage, into *string) bool {
	switch {
	case isNull(value):
		p.faults.add(key, "is required")
	case value[0] != '"':
		p.faults.add(key, "must be a string")
	case !utf8.Valid(value):
		p.faults.add(key, "is not valid UTF-8")
	case bytes.IndexByte(value, '\\') < 0:
		*into = string(value[1 : len(value)-1]) // as Unmarshal would, and faster
		return true
	case hasLoneSurrogate(value):
		p.faults.add(key, "has a lone surrogate, which is no character")
	default:
		if err := json.Unmarshal(value, into); err != nil {
			p.faults.add(key, "must be a string")
			return false
		}
		return true
	}
	return false
}

func (p *recordParser) count(key string, value json.RawMessage) {
	n, err := strconv.ParseInt(string(value), 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		p.faults.add(key, "must be between 0 and 2147483647")
	case err != nil:
		p.faults.add(key, "must be an integer")
	default:
		p.record.ActiveEnvelopesCount = int32(n)
	}
}

func (p *recordParser) emitTraces(key string, value json.RawMessage) {
	switch string(value) {
	case "true":
	case "false":
		p.replay = true
	default:
		p.faults.add(key, "must be true or false")
	}
}

// addFaultsOfRecord adds what Validate finds, except in fields whose text could
// not be read: those are empty now, and their fault is known already.
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

func isNull(value json.RawMessage) bool { return string(value) == "null" }
