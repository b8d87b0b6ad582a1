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
	odd := func(r rune) bool { return r != '\n' && (r == utf8.RuneError || !unicode.IsGraphic(r)) }
	if strings.IndexFunc(text, odd) < 0 {
		return text
	}
	var shown strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&shown, `\x%02x`, text[0])
		case r == utf8.RuneError || !odd(r):
			shown.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&shown, `\U%08x`, r)
		default:
			fmt.Fprintf(&shown, `\u%04x`, r)
		}
		text = text[size:]
	}
	return shown.String()
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
