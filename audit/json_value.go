package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// parsed reads a text and turns it into a value. parse knows what may be wrong with the
// value, but not its key.
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

// optional does the same, but null leaves the value as it is.
func optional[T any](p *recordParser, key string, value json.RawMessage, into *T, parse func(string) (T, error)) {
	if !isNull(value) {
		parsed(p, key, value, into, parse)
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

func (p *recordParser) sourceSeq(key string, value json.RawMessage) {
	if isNull(value) {
		return
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && (n < 1 || n > maxSourceSeq):
		p.faults.add(key, sourceSeqReason)
	case err != nil:
		p.faults.add(key, "must be an integer")
	default:
		p.record.Origin.SourceSeq = n
	}
}

func (p *recordParser) details(key string, value json.RawMessage) {
	if isNull(value) {
		return
	}
	normal, reason := normalDetails(string(value))
	if reason != "" {
		p.faults.add(key, reason)
		return
	}
	p.record.Details = Details(normal)
}

// version reads the number of the line's format. A number beyond int64 counts as the
// greatest of them.
func (p *recordParser) version(key string, value json.RawMessage) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		p.faults.add(key, "must be an integer")
	case n < 1:
		p.faults.add(key, "must be at least 1")
	default:
		p.format = n
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

func isNull(value json.RawMessage) bool { return string(value) == "null" }
