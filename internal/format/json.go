package format

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON escapes the characters of JSON that a terminal would act on or hide: C1
// controls, DEL, and characters that change the direction of a line or are invisible.
// Only strings can hold them, so the result is the same JSON.
func EscapeJSON(text []byte) []byte {
	if isPlain(text) {
		return text
	}
	hidden := func(r rune) bool { return r >= 0x7f && Hides(0, r) }
	if bytes.IndexFunc(text, hidden) < 0 {
		return text
	}
	var escaped []byte
	for _, r := range string(text) {
		switch {
		case !hidden(r):
			escaped = utf8.AppendRune(escaped, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}

// isPlain reports whether a text is ASCII that prints, as nearly all are.
func isPlain(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}
