package audit

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

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
		if strconv.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

func isPrintable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
