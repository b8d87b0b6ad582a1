package format

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine joins the lines of an error. pgx writes a line for each address.
func OneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}

// Cause is an error of the library without what was tried, with which its text begins.
func Cause(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}

// OrNone shows an id that a record may lack.
func OrNone(id string) string {
	if id == "" {
		return "(none)"
	}
	return id
}

// Printable escapes the characters by which a text could control the terminal that shows
// it, or hide there. Line breaks stay.
func Printable(text string) string {
	if !IsOdd(text) {
		return text
	}
	var shown strings.Builder
	before := rune(0)
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&shown, `\x%02x`, text[0])
		case r == utf8.RuneError || r == '\n' || !Hides(before, r):
			shown.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&shown, `\U%08x`, r)
		default:
			fmt.Fprintf(&shown, `\u%04x`, r)
		}
		before, text = r, text[size:]
	}
	return shown.String()
}

// IsOdd reports whether Printable may change a text.
func IsOdd(text string) bool {
	before := rune(0)
	for _, r := range text {
		if r != '\n' && (r == utf8.RuneError || Hides(before, r)) {
			return true
		}
		before = r
	}
	return false
}

// emojiSelector makes an emoji of the symbol before it.
const emojiSelector = '\ufe0f'

// Hides reports whether a character controls what shows it, or shows as nothing, so that two texts
// look alike. before is the one in front of it: after a symbol, the selector of an emoji does neither.
func Hides(before, r rune) bool {
	const firstIgnorable = '\u034f' // of those that are graphic
	switch {
	case !unicode.IsGraphic(r):
		return true
	case r < firstIgnorable:
		return false
	case r == emojiSelector:
		return !unicode.IsSymbol(before)
	default:
		return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	}
}

// Plural writes a number and its noun.
func Plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Thousands(n) + " " + noun + "s"
}

// Folded fits the text of a record into one line of a terminal.
func Folded(text string) string {
	return Printable(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(text))
}
