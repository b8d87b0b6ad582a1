package audit

import (
	"encoding/json"
	"strconv"
)

// scan passes the object's members to p. It reports whether data is an object of known
// keys with plain values or good details, as nearly all lines are. If not, it may have
// passed some members, and the caller starts again with encoding/json. That is far
// slower, but finds what is wrong.
func (p *recordParser) scan(data []byte) (ok bool) {
	s := scanner{data: data}
	if !s.symbol('{') {
		return false
	}
	for more := !s.symbol('}'); more; {
		name, ok := s.member()
		if !ok {
			return false
		}
		key, bit := knownKey(name)
		value, ok := s.value()
		if !ok || bit == 0 {
			return false
		}
		faults := len(p.faults)
		p.member(key, bit, value)
		if value[0] == '{' && len(p.faults) > faults {
			return false // Only the parser of details has looked into it.
		}
		if more = s.symbol(','); !more && !s.symbol('}') {
			return false
		}
	}
	s.space()
	return s.at == len(data)
}

// scanner reads JSON without nesting. What it accepts is valid JSON, except for the
// inside of an object. What it does not accept may be valid, too.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// symbol takes b if it comes next, after any space.
func (s *scanner) symbol(b byte) bool {
	s.space()
	if s.at == len(s.data) || s.data[s.at] != b {
		return false
	}
	s.at++
	return true
}

// member takes a key and its colon. It does not decode escapes and non-ASCII bytes, as
// no known key has them.
func (s *scanner) member() (name []byte, ok bool) {
	s.space()
	quoted, ok := s.text()
	if !ok || !s.symbol(':') {
		return nil, false
	}
	return quoted[1 : len(quoted)-1], true
}

// value takes a string, an integer, true, false, null or an object.
func (s *scanner) value() (json.RawMessage, bool) {
	s.space()
	if s.at == len(s.data) {
		return nil, false
	}
	switch s.data[s.at] {
	case '"':
		return s.text()
	case '{':
		return s.object()
	case 'n':
		return s.word("null")
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	default:
		return s.integer()
	}
}

func (s *scanner) word(word string) ([]byte, bool) {
	end := s.at + len(word)
	if end > len(s.data) || string(s.data[s.at:end]) != word {
		return nil, false
	}
	return s.take(end), true
}

// object takes what is between two braces, without a look at what it is.
func (s *scanner) object() ([]byte, bool) {
	depth, quoted := 0, false
	for i := s.at; i < len(s.data); i++ {
		switch b := s.data[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{':
			depth++
		case b == '}':
			if depth--; depth == 0 {
				return s.take(i + 1), true
			}
		}
	}
	return nil, false
}

// integer stops at what is not a digit. If a fraction or an exponent follows, the caller
// finds no comma there and gives up.
func (s *scanner) integer() ([]byte, bool) {
	first := s.at
	if s.data[first] == '-' {
		first++
	}
	end := first
	for end < len(s.data) && '0' <= s.data[end] && s.data[end] <= '9' {
		end++
	}
	if end == first || end > first+1 && s.data[first] == '0' {
		return nil, false
	}
	return s.take(end), true
}

// text takes a string with its quotes. Like encoding/json it accepts broken UTF-8, which
// the parser then refuses by key.
func (s *scanner) text() ([]byte, bool) {
	if s.at == len(s.data) || s.data[s.at] != '"' {
		return nil, false
	}
	for i := s.at + 1; i < len(s.data); i++ {
		switch b := s.data[i]; {
		case b == '"':
			return s.take(i + 1), true
		case b == '\\':
			n := escapeLength(s.data[i+1:])
			if n == 0 {
				return nil, false
			}
			i += n
		case b < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escapeLength is the length of the escape after a backslash, or 0 if it is none.
func escapeLength(rest []byte) int {
	if len(rest) == 0 {
		return 0
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		return unicodeEscapeLength(rest)
	default:
		return 0
	}
}

func unicodeEscapeLength(rest []byte) int {
	const length = len("u0000")
	if len(rest) < length {
		return 0
	}
	for _, b := range rest[1:length] {
		if (b < '0' || '9' < b) && (b < 'a' || 'f' < b) && (b < 'A' || 'F' < b) {
			return 0
		}
	}
	return length
}

func (s *scanner) take(end int) []byte {
	taken := s.data[s.at:end:end]
	s.at = end
	return taken
}

// hasLoneSurrogate reports whether a valid JSON string escapes half of a surrogate pair.
// encoding/json would replace it with U+FFFD.
func hasLoneSurrogate(quoted []byte) bool {
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++ // at the escape's letter
		if quoted[i] != 'u' {
			continue
		}
		first := hex4(quoted[i+1:])
		i += 4
		switch {
		case 0xDC00 <= first && first <= 0xDFFF:
			return true
		case 0xD800 <= first && first <= 0xDBFF:
			rest := quoted[i+1:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if second := hex4(rest[2:]); second < 0xDC00 || second > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

// hex4 reads the four digits after \u. The decoder has checked that they are hex digits.
func hex4(digits []byte) uint64 {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16)
	return n
}
