package audit

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// str reads a string and returns it without escapes. It writes it as PostgreSQL does.
func (p *detailsParser) str() (text string, ok bool) {
	start := p.at
	plain := true
	for p.at++; p.at < len(p.text) && p.text[p.at] != '"'; p.at++ {
		switch b := p.text[p.at]; {
		case b < ' ':
			return "", p.fail(brokenDetails + ": a control character is not escaped")
		case b == '\\':
			plain = false
			p.at++
		}
	}
	if p.at >= len(p.text) {
		return "", p.fail(brokenDetails + ": it ends too early")
	}
	p.at++
	quoted := p.text[start:p.at]
	if !utf8.ValidString(quoted) {
		return "", p.fail("is not valid UTF-8")
	}
	if plain {
		return quoted[1 : len(quoted)-1], p.write(quoted)
	}
	text, reason := unescape(quoted)
	if reason != "" {
		return "", p.fail(reason)
	}
	return text, p.write(quoteAsPostgres(text))
}

// unescape knows the escapes of one letter. encoding/json, which is slower, knows the
// others.
func unescape(quoted string) (text, reason string) {
	const letters, meanings = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	out := make([]byte, 0, len(quoted))
	for i := 1; i < len(quoted)-1; i++ {
		b := quoted[i]
		if b == '\\' {
			i++
			n := strings.IndexByte(letters, quoted[i])
			if n < 0 {
				return unescapeJSON([]byte(quoted))
			}
			b = meanings[n]
		}
		out = append(out, b)
	}
	return string(out), ""
}

func unescapeJSON(quoted []byte) (text, reason string) {
	switch err := json.Unmarshal(quoted, &text); {
	case err != nil:
		return "", brokenDetails + ": an escape is unknown"
	case hasLoneSurrogate(quoted):
		return "", "has a lone surrogate, which is no character"
	case strings.IndexByte(text, 0) >= 0:
		return "", "contains a NUL character, which PostgreSQL cannot store"
	}
	return text, ""
}

// quoteAsPostgres does what escape_json does in PostgreSQL.
func quoteAsPostgres(text string) string {
	const hex = "0123456789abcdef"
	out := append(make([]byte, 0, len(text)+8), '"')
	for i := range len(text) {
		switch b := text[i]; b {
		case '"', '\\':
			out = append(out, '\\', b)
		case '\b', '\t', '\n', '\f', '\r':
			out = append(out, '\\', "btn fr"[b-'\b'])
		default:
			if b < ' ' {
				out = append(out, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			} else {
				out = append(out, b)
			}
		}
	}
	return string(append(out, '"'))
}

func (p *detailsParser) number() bool {
	rest := p.text[p.at:]
	literal := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789-+.eE"))]
	p.at += len(literal)
	if isShortInteger(literal) {
		return p.write(literal)
	}
	if !json.Valid([]byte(literal)) {
		return p.fail(brokenDetails)
	}
	var wanted, buffer [32]byte
	short, zero, ok := scientific(wanted[:0], literal)
	if zero {
		if literal[0] == '-' {
			return p.fail("is a negative zero, which PostgreSQL would store as 0")
		}
		return p.write("0")
	}
	if ok {
		n, err := strconv.ParseFloat(string(short), 64)
		if err == nil && string(strconv.AppendFloat(buffer[:0], n, 'e', -1, 64)) == string(short) {
			return p.write(string(strconv.AppendFloat(buffer[:0], n, 'f', -1, 64)))
		}
	}
	return p.fail("is a number that float64 would change: write it as a string")
}

// isShortInteger reports whether the number is an integer without zeros in front that
// has so few digits that float64 holds it.
func isShortInteger(literal string) bool {
	const maxDigits = 15
	digits := strings.TrimPrefix(literal, "-")
	if literal == "0" {
		return true
	}
	return digits != "" && digits[0] != '0' && len(digits) <= maxDigits && strings.Trim(digits, "0123456789") == ""
}

// scientific appends a number in the form that strconv calls 'e'. It is not ok if
// float64 cannot have as many digits or such an exponent.
func scientific(to []byte, literal string) (form []byte, zero, ok bool) {
	const maxDigits, maxExponent = 17, 1 << 20 // The text can be long, and begin or end with many zeros.
	mantissa, power := literal, ""
	if i := strings.IndexAny(literal, "eE"); i >= 0 {
		mantissa, power = literal[:i], literal[i+1:]
	}
	if strings.HasPrefix(mantissa, "-") {
		to, mantissa = append(to, '-'), mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	digits := strings.TrimLeft(all, "0")
	exponent := len(whole) - (len(all) - len(digits)) - 1 // of the first digit
	if digits = strings.TrimRight(digits, "0"); digits == "" {
		return nil, true, false
	}
	if power != "" {
		n, err := strconv.Atoi(power)
		if err != nil || n < -maxExponent || maxExponent < n {
			return nil, false, false
		}
		exponent += n
	}
	if len(digits) > maxDigits {
		return nil, false, false
	}
	to = append(to, digits[0])
	if len(digits) > 1 {
		to = append(append(to, '.'), digits[1:]...)
	}
	sign, size := byte('+'), exponent
	if exponent < 0 {
		sign, size = '-', -exponent
	}
	to = append(to, 'e', sign)
	if size < 10 {
		to = append(to, '0')
	}
	return strconv.AppendInt(to, int64(size), 10), false, true
}

// normalText is a text that grows. While it agrees with the text that it is made from,
// it is a part of that text and needs no memory.
type normalText struct {
	source string
	size   int
	own    []byte // nil while the text is source[:size]
}

func (t *normalText) add(part string) {
	if t.own == nil && strings.HasPrefix(t.source[t.size:], part) {
		t.size += len(part)
		return
	}
	t.own = append(t.bytes(), part...)
	t.size = len(t.own)
}

func (t *normalText) bytes() []byte {
	if t.own == nil {
		t.own = append(make([]byte, 0, min(len(t.source), MaxDetailsBytes)), t.source[:t.size]...)
	}
	return t.own
}

func (t *normalText) text() string {
	if t.own == nil {
		return t.source[:t.size]
	}
	return string(t.own)
}

// detailsMember is one member of an object. The normal form has it at from to to.
type detailsMember struct {
	key      string // without escapes
	from, to int
}

// compareKeys orders keys as jsonb does. The order is by length, so that most comparisons
// need not look at the bytes.
func compareKeys(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// reorder writes the members between from and to in their new order.
func (t *normalText) reorder(from, to int, members []detailsMember) {
	old := string(t.bytes()[from:to])
	text := t.own[:from]
	for i, m := range members {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = append(text, old[m.from-from:m.to-from]...)
	}
	t.own = text
}
